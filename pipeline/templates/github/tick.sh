#!/bin/sh
# Runs `pipeline` with a ledger that is kept on a branch: for machines that forget everything, as CI runners do.
#
#   sh tick.sh --begin                  the first time, when there is no branch yet
#   sh tick.sh                          do what is due now
#   sh tick.sh resolve A/B/C posted     any other command, on the ledger of the branch
#   sh tick.sh --look check             a command that only looks: nothing is pushed
#
# Why nothing goes out twice, and nothing is lost:
# - Before the first byte leaves, the branch says that a run has begun (the file `begun`). Its push moves the
#   branch from the very commit that was read, or fails; so of two runs one goes on. The last push takes the
#   file away and brings the ledger as it is after the run.
# - A branch without `begun` therefore holds the whole truth, and its ledger is believed as it is.
# - A branch with it belongs to a run that is still at it, and is left alone until that run must be over; or to
#   one that died. What that one may have sent nobody has written down: `pipeline ledger import` makes it
#   `unknown`, and evidence decides, as after every lost answer.
# It rests on: a run is over once its time is up (RUN_LIMIT), the runners' clocks agree to two minutes, and
# nobody else writes to the branch.
#
# Run it where content/ and schedules/ are. Settings, from the environment:
#   LEDGER_BRANCH  the branch, `ledger`           LEDGER_REMOTE  where it is, `origin`
#   RUN_LIMIT      seconds a command may take, 600
#   GIT_TOKEN      for a remote over HTTPS; git alone gets to see it
#   LEDGER_COPY    with --look: a file (its full path) where the copy of the ledger stays for the next look
set -eu

branch=refs/heads/${LEDGER_BRANCH:-ledger}
remote=${LEDGER_REMOTE:-origin}
limit=${RUN_LIMIT:-600}
margin=300 # seconds: for the first push, a slow end, and clocks that differ
mode=run

fail() {
    echo "tick.sh: $1" >&2
    exit 4
}

wrong_use() {
    echo "tick.sh: $1" >&2
    exit 2
}

case "${1-}" in
--begin) mode=begin; shift ;;
--look) mode=look; shift ;;
esac
[ $# -gt 0 ] || set -- tick
case "$mode $1" in
"look check" | "look doctor" | "look plan" | "look preview" | "look rehearse" | "look status") ;;
look*) wrong_use "\`$1\` does not only look, and what it did would be forgotten" ;;
# It would send what the branch has never heard of, entries planned while it runs: should it die, nobody could tell.
*" run" | *" serve") wrong_use "\`$1\` belongs on a machine that stays, with a ledger of its own" ;;
esac
command -v timeout >/dev/null || fail "this machine has no \`timeout\`; it belongs to the coreutils"

token=${GIT_TOKEN-}
unset GIT_TOKEN
unset PIPELINE_LEDGER # it would name another ledger than the branch's
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 4' HUP INT TERM

if [ -n "$token" ]; then
    token=$(printf 'x-access-token:%s' "$token" | base64 | tr -d '\n')
fi
place=$(git remote get-url "$remote") || fail "there is no remote \`$remote\`"

talk() { # git with the remote
    if [ -n "$token" ]; then
        GIT_TERMINAL_PROMPT=0 GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0="http.$place.extraHeader" \
            GIT_CONFIG_VALUE_0="Authorization: Basic $token" git "$@"
    else
        GIT_TERMINAL_PROMPT=0 git "$@"
    fi
}

tip() { # the commit the branch stands at, nothing when there is no branch
    talk ls-remote --quiet "$remote" "$branch" >"$work/tip" || return 1
    cut -f 1 "$work/tip"
}

fetch() { # commit: lay its files out in $work/was
    mkdir "$work/was"
    [ -n "$1" ] || return 0
    talk fetch --quiet --no-tags "$remote" "$1" || return 1
    GIT_INDEX_FILE=$work/index git read-tree "$1" || return 1 # half a branch must not pass for a new one
    GIT_INDEX_FILE=$work/index git -c core.autocrlf=false -c core.hooksPath=/dev/null \
        checkout-index --all --prefix="$work/was/" || return 1
}

commit() { # folder, message: a commit of these files alone; its name
    rm -f "$work/index"
    git_dir=$(git rev-parse --absolute-git-dir)
    (
        cd "$1"
        export GIT_DIR="$git_dir" GIT_WORK_TREE="$1" GIT_INDEX_FILE="$work/index"
        export GIT_AUTHOR_NAME=pipeline GIT_AUTHOR_EMAIL=pipeline@localhost
        export GIT_COMMITTER_NAME=pipeline GIT_COMMITTER_EMAIL=pipeline@localhost
        git -c core.autocrlf=false -c core.safecrlf=false add --all --force .
        git commit-tree -m "$2" "$(git write-tree)"
    )
}

push() { # from which commit, to which. A lost answer is no lost push: the branch itself is asked
    for wait in 1 5 15 0; do
        talk push --quiet --no-verify --force-with-lease="$branch:$1" "$remote" "$2:$branch" && return 0
        now=$(tip) || now=$1
        [ "$now" != "$2" ] || return 0
        [ "$now" = "$1" ] || return 1
        sleep "$wait"
    done
    return 1
}

# --------------------------------------------------------------------------- what the branch says

was=$(tip) || fail "$place cannot be asked for its branches; nothing was done"
case "$mode ${was:+there}" in
"run ") fail "there is no ledger at $branch. The very first time: sh tick.sh --begin. Otherwise it was lost" ;;
"begin there") wrong_use "there is a ledger at $branch already; run without --begin" ;;
esac
fetch "$was" || fail "$branch cannot be fetched; nothing was done"

if [ "$mode" = look ]; then
    copy=$work/was/ledger.db
    if [ -n "${LEDGER_COPY-}" ]; then
        [ -f "$LEDGER_COPY" ] || [ ! -f "$copy" ] || cp "$copy" "$LEDGER_COPY"
        copy=$LEDGER_COPY
    fi
    status=0
    PIPELINE_LEDGER="sqlite:///$copy" pipeline "$@" || status=$?
    exit "$status"
fi

started=$(date +%s)
ledger=$work/ledger.db
if [ -f "$work/was/begun" ]; then
    until=$(head -n 1 "$work/was/begun")
    if [ "$started" -lt "$until" ]; then
        echo "tick.sh: a run may still be at it for $((until - started)) seconds; nothing was done" >&2
        exit 0
    fi
    if [ -f "$work/was/ledger.db" ]; then
        echo "tick.sh: the last run never said how it ended; what it may have sent becomes unknown" >&2
        pipeline ledger export --quiet "$work/export.jsonl" --ledger "sqlite:///$work/was/ledger.db"
        pipeline ledger import --quiet "$work/export.jsonl" --ledger "sqlite:///$ledger"
        pipeline ledger backup --quiet "$work/doubted.db" --ledger "sqlite:///$ledger"
        ledger=$work/doubted.db
    fi
elif [ -f "$work/was/ledger.db" ]; then
    ledger=$work/was/ledger.db
fi

# --------------------------------------------------------------------------- from here on it is ours

mkdir "$work/next"
cp -R "$work/was/." "$work/next/"
{
    echo "$((started + limit + margin))"
    echo "Until then (seconds since 1970, UTC) a run may be at it: $(od -An -N8 -tx1 /dev/urandom | tr -d ' \n')"
} >"$work/next/begun"
cat >"$work/next/README.md" <<'README'
Kept by `tick.sh`: the ledger, and what is published. Neither edit nor merge it, and delete it only with the project.
README
begun=$(commit "$work/next" "begun: pipeline $1")
if ! push "$was" "$begun"; then
    now=$(tip) || now=
    [ -z "$now" ] || [ "$now" = "$was" ] || { echo "tick.sh: another run was faster; nothing was done" >&2; exit 0; }
    fail "$branch cannot be pushed; nothing was done"
fi
trap : HUP INT TERM # who is told to stop still brings home what the command did
[ "$(date +%s)" -lt "$((started + margin / 2))" ] || fail "the push took too long; nothing was done"

# The place is always the same, so that the pipeline knows its ledger again on a machine that stays.
mkdir -p state
rm -rf state/branch.db state/branch.db-wal state/branch.db-shm public
[ ! -f "$ledger" ] || cp "$ledger" state/branch.db
[ ! -d "$work/was/public" ] || cp -R "$work/was/public" public
export PIPELINE_LEDGER=sqlite:///state/branch.db

status=0
timeout -k 30 "$limit" pipeline "$@" || status=$?
case $status in 124 | 137) echo "tick.sh: stopped after $limit s" >&2 ;; esac

rm -rf "$work/next/begun" "$work/next/public"
if [ -f state/branch.db ]; then
    pipeline ledger backup --quiet "$work/next/ledger.db"
fi
[ ! -d public ] || cp -R public "$work/next/public"
ended=$(commit "$work/next" "ended: pipeline $1")
push "$begun" "$ended" || fail "what was done cannot be pushed; the next run looks into what may have been sent"
[ "$status" -le 4 ] || status=4
exit "$status"
