# Read by the other scripts (bash): what several of them need. Run on its own it does nothing.
# Nothing here pipes a download into a shell, and nothing here starts a service.

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv="$repository/.venv"

say() { printf '== %s\n' "$*"; }

fail() {
  printf 'error: %s\n' "$*" >&2
  exit 69 # EX_UNAVAILABLE: something this machine lacks
}

# True when packages can be installed without asking anybody for a password.
can_install() { command -v apt-get >/dev/null && { [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null; }; }

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }

# A fresh container has no package lists; a used machine keeps those it has.
package_lists() {
  if compgen -G '/var/lib/apt/lists/*_Packages*' >/dev/null; then return 0; fi
  say 'fetching the package lists (apt-get update)'
  as_root apt-get update -qq
}

# Installs distribution packages with every service held back: policy-rc.d is Debian's own switch for that
# (invoke-rc.d(8)); one that stands there already is left as it is, ours is taken away again, whatever happens.
apt_install() (
  package_lists
  say "installing $*"
  policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    trap 'as_root rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
  fi
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
)

# The folder of PostgreSQL's server programs: Debian keeps them off PATH.
postgresql_programs() {
  local initdb
  initdb=$(command -v initdb || compgen -G '/usr/lib/postgresql/*/bin/initdb' | sort -V | tail -n 1) || return 1
  [ -n "$initdb" ] && dirname "$initdb"
}

# PostgreSQL for the tests: the programs only. Debian makes and starts a cluster at installation unless told not to; the setting
# is put back afterwards.
postgresql_at_hand() {
  if postgresql_programs >/dev/null; then return 0; fi
  if ! can_install; then
    fail 'the tests need the PostgreSQL server programs: apt-get install postgresql (nothing has to be running)'
  fi
  apt_install postgresql-common
  (
    settings=/etc/postgresql-common/createcluster.conf
    as_root cp -p "$settings" "$settings.before-syncd"
    trap 'as_root mv "$settings.before-syncd" "$settings"' EXIT
    echo 'create_main_cluster = false' | as_root tee -a "$settings" >/dev/null
    apt_install postgresql
  )
}

# systemd's own tools, which judge the units and make what a package needs; nothing of it is started.
systemd_at_hand() {
  if command -v systemd-analyze >/dev/null && command -v systemd-sysusers >/dev/null; then return 0; fi
  if ! can_install; then fail 'the tests need systemd-analyze and systemd-sysusers: apt-get install systemd (nothing has to be running)'; fi
  apt_install systemd
}

# A Samba domain controller for the Active Directory tests and `script/demo --ad`: the programs and what a domain is made from; nothing of it is started.
samba_at_hand() {
  if [ -x /usr/sbin/samba ] && [ -d /usr/share/samba/setup/ad-schema ]; then return 0; fi
  if ! can_install; then
    fail 'this needs a Samba domain controller: apt-get install samba-ad-dc samba-ad-provision (nothing has to be running)'
  fi
  apt_install samba-ad-dc samba-ad-provision
}

# Chromium for the tests of the portal's pages: the program only, without a display.
chromium_at_hand() {
  if [ -x /usr/bin/chromium ]; then return 0; fi
  if ! can_install; then fail 'the tests of the pages need Chromium: apt-get install chromium'; fi
  package_lists
  if apt-cache show chromium >/dev/null 2>&1; then
    apt_install chromium
  else # Ubuntu has it as a snap only: then the one that the browser's driver brings
    say 'installing Chromium (playwright install)'
    "$venv/bin/python" -m playwright install --with-deps chromium >/dev/null
  fi
}

# What the tests write is deleted a moment later: where memory has room for it, no disk need keep it. TMPDIR (environ(7)) decides otherwise.
scratch_in_memory() {
  local folder=/dev/shm enough=$((4 * 1024 * 1024)) # KiB: they leave 3 GiB there at most
  if [ -n "${TMPDIR:-}" ] || [ ! -w "$folder" ] || findmnt -no OPTIONS "$folder" | grep -qw noexec; then return 0; fi
  if [ "$(df --output=avail -k "$folder" | tail -n 1)" -lt $enough ] || [ "$(awk '/^MemAvailable:/ { print $2 }' /proc/meminfo)" -lt $enough ]; then return 0; fi
  export TMPDIR=$folder
}
