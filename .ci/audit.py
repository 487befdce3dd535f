"""Ask for known vulnerabilities of every locked package, and say how many packages that answer covers.

python .ci/audit.py               exit 1 for a vulnerability, and for packages that nobody answered for
python .ci/audit.py --offline-ok  exit 1 for a vulnerability alone
"""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main(arguments: list[str]) -> int:
    """Run pip-audit on the lock; packages that it skips are counted, never passed over."""
    command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--require-hashes", "--progress-spinner", "off"]
    command += ["--format", "json", "-r", "requirements.txt", "-r", "requirements-cuda.txt"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except ValueError:
        packages = []
        print(done.stderr.strip()[-500:])
    asked = [each for each in packages if "skip_reason" not in each]
    found = [(each, fault) for each in asked for fault in each["vulns"]]
    for package, fault in found:
        better = ", ".join(fault["fix_versions"]) or "none yet"
        print(f"{package['name']} {package['version']}: {fault['id']}, fixed in {better}")
    print(f"packages {len(packages)}, audited {len(asked)}, known vulnerabilities {len(found)}")
    if len(asked) == len(packages) > 0:
        return bool(found)
    print(f"NOT AUDITED: the vulnerability service gave no answer for {len(packages) - len(asked)} packages")
    return bool(found) or "--offline-ok" not in arguments


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
