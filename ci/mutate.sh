# Sourced by the scripts that break one line after another: what they have in common.
#
#     SCRIPT                all mutants
#     SCRIPT NAME...        those whose names begin with one of these
#     SCRIPT --check        builds and runs nothing: every pattern applies, in as many places as it
#                           says
#
# The script calls `mutant` for each mutant, then `finish`. It defines `judge`, which tests the
# source tree in `$tree`, writes to `$log`, and prints what came of it after `$name: `. It fails if
# the tests did not notice, and is called as `judge TEST...`.

check=false
if [[ ${1:-} == --check ]]; then
    check=true
    shift
fi
wanted=("$@")
scratch=$(mktemp --directory)
trap 'rm -rf "$scratch"' EXIT
tree=$scratch/tree log=$scratch/log
mkdir "$tree"
# With new times: the compiler's files of an earlier run may be newer than the sources.
tar --create --exclude ./target --exclude ./fuzz/target --exclude ./.git . |
    tar --extract --touch --directory "$tree"
mutants=0 failed=0

is_wanted() {
    local prefix
    [[ ${#wanted[@]} == 0 ]] && return
    for prefix in "${wanted[@]}"; do [[ $1 == "$prefix"* ]] && return; done
    return 1
}

# mutant NAME FILE LINES SCRIPT TESTS: the sed script (-E) changes exactly LINES lines of FILE,
# and of TESTS (separated by spaces) some must fail then.
mutant() {
    local name=$1 file=$tree/$2 lines=$3 script=$4 tests=$5 changed
    is_wanted "$name" || return 0
    mutants=$((mutants + 1))
    if [[ ! -f $file ]]; then
        echo "$name: there is no file $2"
        failed=$((failed + 1))
        return
    fi
    cp "$file" "$scratch/whole"
    sed -i -E "$script" "$file"
    changed=$({ diff "$scratch/whole" "$file" || true; } |
        awk '/^</ { old++ } /^>/ { new++ } END { print (old > new ? old : new) + 0 }')
    if [[ $changed != "$lines" ]]; then
        echo "$name: the pattern changes $changed lines of $2, where $lines are meant: $script"
        failed=$((failed + 1))
    elif ! $check; then
        # shellcheck disable=SC2086 # one argument for each test
        judge $tests || failed=$((failed + 1))
    fi
    # With a new time, so that it is compiled again.
    cp "$scratch/whole" "$file"
}

finish() {
    if [[ $mutants == 0 ]]; then
        echo "no mutant has a name that begins with ${wanted[*]}"
        exit 1
    fi
    $check || echo "$((mutants - failed)) of $mutants mutants are caught"
    exit $((failed > 0))
}
