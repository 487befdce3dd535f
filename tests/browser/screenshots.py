"""Write docs/images/report.png and mlflow.png: a suite's page, and MLflow's comparison of its runs."""

import io
import sys
import tempfile
from pathlib import Path

import PIL.Image
from devtools import CHROMIUM, INSTALL, Browser
from served import served

from jetassay.places import project_root
from jetassay.progress import Reporter
from jetassay.report.results import load_results
from jetassay.tracking.engine import open_tracking
from jetassay.tracking.views import compare_link

IMAGES = project_root() / "docs" / "images"
CLOSE_ASSISTANT = "document.elementFromPoint(innerWidth - 36, 40)?.closest('button')?.click()"
MOST_BYTES = 200_000


def main():
    """Both pictures of the suite that the command line names."""
    if CHROMIUM is None:
        sys.exit(INSTALL)
    results = load_results(sys.argv[1])
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as profile:
        browser = Browser(CHROMIUM, profile)
        try:
            browser.open(results.folder / "report.html", height=860)
            browser.js("document.querySelector('section:nth-of-type(2)')?.scrollIntoView({behavior: 'instant'})")
            keep(browser, "report")
            mlflow(browser, results)
        finally:
            browser.close()


def mlflow(browser, results):
    """The comparison that the suite's link opens."""
    runs = list(dict.fromkeys(results.frame.loc[results.frame["backbone_b"].isna(), "run_id"].dropna()))
    experiment = open_tracking(reporter=Reporter(quiet=True)).experiment_id
    with served() as address:
        browser.open(compare_link(experiment, runs, base=address), height=860)
        browser.wait_for("document.body.innerText.includes('auc')", seconds=90)
        browser.js(CLOSE_ASSISTANT)
        browser.js("new Promise(done => setTimeout(done, 3000))")  # its plots are drawn after its text
        keep(browser, "mlflow")


def keep(browser, name):
    """What is seen, as a small PNG."""
    path = Path(IMAGES / f"{name}.png")
    with PIL.Image.open(io.BytesIO(browser.screenshot())) as seen:
        seen.convert("RGB").save(path, optimize=True)
    size = path.stat().st_size
    if size > MOST_BYTES:
        sys.exit(f"{path}: {size} bytes, more than {MOST_BYTES}")
    print(f"{path}: {size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
