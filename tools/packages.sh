# Sourced by tools/up and tools/check: which Debian packages Bole is made of, and how they come.

build_packages=(gcc libc6-dev cmake ninja-build pkg-config liburing-dev libmsgpack-dev libisal-dev
    zlib1g-dev liblz4-dev libzstd-dev libsnappy-dev)
test_packages=(libcunit1-dev librdkafka-dev libssl-dev kcat clang clang-format libclang-rt-14-dev
    python3 procps git)

# install_missing PACKAGE...: installs those that are not there, and says nothing if all are.
# Fails, having said what to install, where it can't.
install_missing() {
    if ! command -v dpkg-query >/dev/null; then
        echo "This is not a Debian system. If the build stops, install what these hold:" >&2
        echo "  $*" >&2
        return 0
    fi
    local package missing=() become=()
    for package; do
        case $(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null) in
        ii*) ;;
        *) missing+=("$package") ;;
        esac
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null; then
            echo "Missing, and there is no sudo. As root: apt-get install ${missing[*]}" >&2
            return 1
        fi
        become=(sudo)
    fi
    echo "Installing ${missing[*]}"
    local apt=("${become[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0)
    if ! "${apt[@]}" install -y --no-install-recommends "${missing[@]}" >/dev/null 2>&1; then
        # The lists may be old or not there yet: once more with fresh ones, and this time aloud.
        if ! { "${apt[@]}" update &&
            "${apt[@]}" install -y --no-install-recommends "${missing[@]}"; } >/dev/null; then
            echo "apt-get could not install them. By hand: apt-get install ${missing[*]}" >&2
            return 1
        fi
    fi
}
