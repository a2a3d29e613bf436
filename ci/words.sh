#!/usr/bin/env bash
# Checks what comments and documentation say. ci/fmt.sh runs it, so on every change; a second.
#
#   ci/words.sh            checks; prints each offence that ci/words.allowed does not allow
#   ci/words.sh --list     prints every offence, also those that are allowed
#   ci/words.sh --lower    writes ci/words.allowed anew, if no total in it grows
#
# Six rules:
#
# columns  A line with a comment in a .rs or .sh file has at most 100 columns. Exempt are rows of
#          Markdown tables, and lines that hold a link and nothing else.
# words    The guides and production code (src/ of the root and the libraries) name their subjects.
#          They do not say "whoever", "somebody", "nobody", "is told", or "the dead" as a noun, and
#          no sentence but a question begins with "Who".
# edges    A memory-ordering edge (RING-E1) or invariant (RING-I1) that is cited is defined exactly
#          once, as the first cell of a table row in a `//!` comment. An edge that is defined is
#          cited at both of its ends, so at least twice. Production code cites no bare E1 or I1.
# atomics  ipc-shm takes its atomics from `crate::sync`, so that loom can replace them; words that
#          no model has, from `crate::sync::unmodelled`.
# paths    Each file or folder that a guide names, such as `ci/words.sh`, exists.
# runs     Each script in ci/ is called by a workflow, or by another script.
#
# Offences of the first two rules that exist already are counted per file in ci/words.allowed.
# The counts may only go down. Run --lower after removing some, or after moving a file.
set -euo pipefail
cd "$(dirname "$0")/.."

exec perl -CSD - "${1:-}" <(git ls-files -- '*.rs' '*.sh') <<'PERL'
use strict;
use warnings;
use utf8;

my ($mode, $list) = @ARGV;
$mode =~ /^(--list|--lower|)$/ or die "usage: ci/words.sh [--list | --lower]\n";
open my $names, '<', $list or die "$list: $!";
# Files of the index that a change has removed are not read.
chomp(my @files = grep { chomp; -e } <$names>);

my @words = (
    ['whoever', qr/\bwhoever\b/i],
    ['somebody', qr/\bsomebody\b/i],
    ['nobody', qr/\bnobody\b/i],
    ['is told', qr/\bis told\b/i],
    # Before a noun "dead" is an adjective. What follows here is none.
    ['the dead', qr/\bthe\ dead\b(?!['\w-]) (?!\ (?!(?:of|is|are|was|were|will|would|can|could|may|might
        |must|have|has|had|do|does|did|and|or|but|in|on|at|by|to|from|with|that|which|who|one|ones|left
        |leave|look|come|go|keep|held|wait|never|not|then|when|while|if|as|also|too|again)\b)\w)/ix],
    ['Who', qr/(?:^|(?<=[.!?])\ |(?<=\|)\ ) Who\ (?!\w[^.!?]*\?)/x],
);

my (%count, @problems);
sub offence {
    my ($rule, $file, $line, $text) = @_;
    $count{"$rule\t$file"}{n}++;
    push @{ $count{"$rule\t$file"}{at} }, "$file:$line: $rule: $text";
}

my (%defined, %cited, %cited_in_guides);
for my $file (@files) {
    my $rust = $file =~ /\.rs$/;
    my $production = $rust && $file =~ m{^(?:src|ipc-\w+/src)/};
    open my $in, '<', $file or die "$file: $!";
    my ($paragraph, $start) = ('', 0);
    # A sentence may go over lines, so the words of adjacent comment lines are read as one text.
    my $flush = sub {
        for my $word (@words) {
            my ($name, $pattern) = @$word;
            while ($paragraph =~ /$pattern/g) {
                my $from = $-[0] < 30 ? 0 : $-[0] - 30;
                offence($name, $file, $start, '… ' . substr($paragraph, $from, 80) . ' …');
            }
        }
        $paragraph = '';
    };
    while (my $line = <$in>) {
        chomp $line;
        my ($comment) = $rust ? $line =~ m{(?:^|\s)//[/!]?(?=\s|$)(.*)$} : $line =~ /^\s*#(.*)$/;
        my $whole = defined $comment && ($rust ? $line =~ m{^\s*//} : 1);
        if (defined $comment && length($line) > 100) {
            my $exempt = $whole && $comment =~ m{^\s*(?:\||<?https?://\S+$|\[[^\]]+\]:\s+\S+$)};
            offence('columns', $file, $., length($line) . ' columns') unless $exempt;
        }
        if ($rust && defined $comment) {
            # The first cell of a row defines; all that follows in it may cite.
            push @{ $defined{$1} }, "$file:$." if $comment =~ s/^\s*\| ([A-Z]+-[EI]\d+) \|/|/;
        }
        if ($rust && $file !~ m{^ci/}) {
            my $text = $line =~ m{^\s*//!} ? $comment // '' : $line;
            push @{ $cited{$1} }, "$file:$." while $text =~ /\b([A-Z]+-[EI]\d+)\b/g;
            if ($production && defined $comment && $comment =~ /(?<![\w-])([EI]\d)\b(?!\d)/) {
                push @problems, "$file:$.: edges: $1 does not name its protocol (RING-$1, say)";
            }
        }
        push @problems, "$file:$.: atomics: take them from crate::sync, which loom can replace"
            if $file =~ m{^ipc-shm/src/(?!sync\.rs)}
            && $line =~ m{^[^/]*\b(?:std|core)::sync::atomic};
        next unless $production;
        if ($whole && $comment =~ /\S/ && $comment !~ /^\s*(?:#|```)/) {
            $start = $. if $paragraph eq '';
            $comment =~ s/^\s+|\s+$//g;
            # A row of a table, and an item of a list, is a text of its own.
            $flush->(), $start = $. if $comment =~ /^(?:\||[-*] |\d+\. )/;
            $paragraph .= ($paragraph eq '' ? '' : ' ') . $comment;
            $flush->() if $comment =~ /^\|/;
        } else {
            $flush->();
            if (defined $comment && !$whole) {
                ($paragraph, $start) = ($comment =~ s/^\s+|\s+$//gr, $.);
                $flush->();
            }
        }
    }
    $flush->();
}

sub text {
    my ($file) = @_;
    open my $in, '<', $file or die "$file: $!";
    local $/;
    return scalar <$in>;
}
for my $guide (grep { !m{^docs/faults} } glob('*.md docs/*.md')) {
    my $text = text($guide);
    push @{ $cited_in_guides{$1} }, $guide while $text =~ /\b([A-Z]{3,}-[EI]\d+)\b/g;
    # Words in code, and the names of tests in links, are no prose.
    (my $prose = $text) =~ s/^```.*?^```$//gms;
    $prose =~ s/`[^`]*`/`…`/g;
    $prose =~ s/\s+/ /g;
    for my $word (@words) {
        my ($name, $pattern) = @$word;
        offence($name, $guide, 1, '… ' . substr($prose, $-[0] > 30 ? $-[0] - 30 : 0, 80) . ' …')
            while $prose =~ /$pattern/g;
    }
    while ($text =~ m{`((?:\.?[\w-]+/)+[\w.-]*)`}g) {
        my $path = $1;
        my ($top) = $path =~ m{^([^/]+)};
        # Names of other things have slashes too; what a build makes is not there always.
        next if !-e $top || $top eq 'target' || -e $path;
        push @problems, "$guide: paths: there is no $path";
    }
}

for my $name (sort keys %cited) {
    next if $defined{$name};
    push @problems, "$_: edges: $name is defined nowhere" for @{ $cited{$name} };
}
for my $name (sort keys %defined) {
    my @at = @{ $defined{$name} };
    push @problems, "$at[1]: edges: $name is defined at $at[0] too" if @at > 1;
    push @problems, "$at[0]: edges: $name is not cited at both ends"
        if $name =~ /-E/ && @{ $cited{$name} // [] } < 2;
}
for my $name (grep { !$defined{$_} } sort keys %cited_in_guides) {
    push @problems, "$_: edges: $name is defined nowhere" for @{ $cited_in_guides{$name} };
}

my $workflows = join '', map { text($_) } glob('.github/workflows/*.yml');
my @scripts = glob('ci/*.sh');
for my $script (@scripts) {
    my ($name) = $script =~ m{([^/]+)\.sh$};
    my $called = $workflows =~ /script: \Q$name\E\b(?!-)|\bci\/\Q$name\E\.sh/
        || grep { $_ ne $script && text($_) =~ /^[^#]*\bci\/\Q$name\E\.sh/m } @scripts;
    push @problems, "$script: runs: no workflow and no other script calls it" if !$called;
}

my $allowed = 'ci/words.allowed';
my (%allow, %total, %now);
if (open my $in, '<', $allowed) {
    while (<$in>) {
        next if /^#|^$/;
        /^(\d+)\t(.+)\t(.+)$/ or die "$allowed:$.: not COUNT, RULE, FILE, with tabs between them\n";
        $allow{"$2\t$3"} = $1;
        $total{$2} += $1;
    }
}
for my $key (sort keys %count) {
    my ($rule, $file) = split /\t/, $key;
    $now{$rule} += $count{$key}{n};
    my $may = $allow{$key} // 0;
    if ($mode eq '--list' || ($mode eq '' && $count{$key}{n} > $may)) {
        print "$_\n" for @{ $count{$key}{at} };
    }
    push @problems, "$file: $rule: $count{$key}{n}, and $may are allowed"
        if $mode eq '' && $count{$key}{n} > $may;
}
if ($mode eq '--lower') {
    my $first = !%allow && !-e $allowed;
    for my $rule (sort keys %now) {
        push @problems, "$rule: $now{$rule} in all, and $allowed has $total{$rule}"
            if !$first && $now{$rule} > ($total{$rule} //= 0);
    }
    if (!@problems) {
        open my $out, '>', $allowed or die "$allowed: $!";
        print $out "# Offences against ci/words.sh that are still there: count, rule, file.\n",
            "# Counts may only go down. Do not edit: `ci/words.sh --lower` writes this file.\n";
        print $out "$count{$_}{n}\t$_\n" for sort keys %count;
    }
}
print "$_\n" for @problems;
print 'ci/words.sh: ', join(', ', map { "$now{$_} $_" } sort keys %now), "\n";
exit(@problems ? 1 : 0);
PERL
