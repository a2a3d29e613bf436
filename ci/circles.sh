#!/usr/bin/env bash
# Finds circles between the source files of a library: a file uses an item of another file, and
# that file, directly or over further files, an item of the first. ci/fmt.sh runs it, so on every
# change; a second.
#
#   ci/circles.sh            checks; prints each circle that ci/circles.allowed does not allow
#   ci/circles.sh --list     prints every circle, also those that are allowed
#   ci/circles.sh --uses     prints each edge: a file, a file that it uses, and the names
#
# An edge is a path of code or of a `use` that leads to an item of another file. A path through a
# re-export leads to the file that defines the item. So a module that declares and re-exports its
# children has no edge to them, unless it uses the names itself. Tests are not read.
#
# Each line of ci/circles.allowed names the files of one circle that is there still.
set -euo pipefail
cd "$(dirname "$0")/.."

exec perl -CSD - "${1:-}" <<'PERL'
use strict;
use warnings;
use utf8;

my ($mode) = @ARGV;
$mode =~ /^(--list|--uses|)$/ or die "usage: ci/circles.sh [--list | --uses]\n";

# The tokens of Rust source that matter: words, `::`, and single characters. No comments, and of
# strings only the quotes, but for the paths in attributes.
sub tokens {
    my ($file) = @_;
    open my $in, '<', $file or die "$file: $!";
    local $/;
    my $text = <$in>;
    my @tokens;
    while ($text =~ m~\G(?:
          (?<skip>\s+ | //[^\n]* | (?<block>/\*(?:[^*/]|\*(?!/)|/(?!\*)|(?&block))*\*/)
            | b?'(?:[^'\\]|\\(?:u\{[^}]*\}|x..|.))' | '\w+ | \d[\w.]*(?<!\.))
        | b?c?r(?<hashes>\#*)".*?"\k<hashes>
        | b?c?"(?<string>(?:[^"\\]|\\.)*)"
        | (?<token>r\#\w+ | \w+ | :: | .))~gsx) {
        next if defined $+{skip};
        push @tokens, defined $+{token} ? $+{token} : '"' . ($+{string} // '');
    }
    return \@tokens;
}

# The index after the group that opens at `$i`.
sub after_group {
    my ($tokens, $i) = @_;
    my $depth = 0;
    for (; $i < @$tokens; $i++) {
        $depth++ if $tokens->[$i] =~ /^[(\[{]$/;
        $depth-- if $tokens->[$i] =~ /^[)\]}]$/;
        return $i + 1 if $depth == 0;
    }
    die "brackets that do not close\n";
}

# The index after the item that begins at `$i`.
sub after_item {
    my ($tokens, $i) = @_;
    my ($braces_end, $may_have_value) = (1, 0);
    while ($i < @$tokens) {
        my $token = $tokens->[$i];
        return $i + 1 if $token eq ';' || $token eq ',';
        return $i if $token =~ /^[)\]}]$/;
        $may_have_value = 1 if $token =~ /^(?:const|static|let)$/;
        $braces_end = 0 if $token eq 'use' || $token eq '=' && $may_have_value;
        if ($token =~ /^[(\[{]$/) {
            $i = after_group($tokens, $i);
            return $i if $token eq '{' && $braces_end;
        } else {
            $i++;
        }
    }
    return $i;
}

# Of each file: the file of its parent module and of the crate; its child modules, a name to files;
# names that it imports, to their paths; the paths of its globs, and in its code; the names of its
# items; and each word of its code. Before a path stands in how many inline modules it is.
my %files;

sub normal {
    my ($path) = @_;
    1 while $path =~ s{(^|/)(?!\.\.)[^/]+/\.\./}{$1};
    return $path;
}

sub read_module {
    my ($file, $parent, $root) = @_;
    return if $files{$file};
    my $self = $files{$file} = {
        parent => $parent, root => $root, children => {}, aliases => {}, imports => [],
        globs => [], defines => {}, paths => [], words => {},
    };
    my $dir = $file =~ s{[^/]+$}{}r;
    my $below = $file =~ m{(?:^|/)(?:mod|lib)\.rs$} ? $dir : $file =~ s{\.rs$}{/}r;
    my $tokens = tokens($file);
    my ($depth, @inline) = 0;
    my ($attributes, $public) = ('', 0);
    for (my $i = 0; $i < @$tokens;) {
        my $token = $tokens->[$i];
        if ($token eq '#' && ($tokens->[$i + 1] // '') =~ /^[\[!]$/) {
            my $end = after_group($tokens, $i + ($tokens->[$i + 1] eq '!' ? 2 : 1));
            my $attribute = join ' ', @$tokens[$i .. $end - 1];
            if ($attribute =~ /^# \[ cfg \( (?:all \( .*)?\btest\b/) {
                while ($tokens->[$end] eq '#') { $end = after_group($tokens, $end + 1) }
                $i = after_item($tokens, $end);
                $attributes = '';
                next;
            }
            $attributes .= $attribute;
            $i = $end;
            next;
        }
        if ($token eq 'pub') {
            $public = 1;
            $i++;
            $i = after_group($tokens, $i)
                if ($tokens->[$i] // '') eq '(' && $tokens->[$i + 1] =~ /^(?:crate|super|self|in)$/;
            next;
        }
        if ($token eq 'use') {
            $i = read_use($self, $tokens, $i + 1, scalar @inline, $public);
        } elsif ($token eq 'mod' && $tokens->[$i + 1] =~ /^\w+$/) {
            my $name = $tokens->[$i + 1];
            if ($tokens->[$i + 2] eq ';') {
                my @at = map { normal("$dir$_") } $attributes =~ /path = "(\S+)/g;
                push @at, grep { !-e || !grep { $_ eq $file } @at }
                    grep { -e } ("$below$name.rs", "$below$name/mod.rs")
                    unless $attributes =~ /# \[ path/;
                $self->{children}{$name} = \@at;
            } else {
                $self->{defines}{$name} = 1;
                push @inline, $depth;
                $depth++;
            }
            $i += 3;
        } else {
            if ($token =~ /^[({\[]$/) { $depth++ }
            if ($token =~ /^[)}\]]$/) {
                $depth--;
                pop @inline if @inline && $inline[-1] == $depth;
            }
            if ($token =~ /^(?:fn|struct|enum|union|trait|type|const|static)$/
                && ($tokens->[$i + 1] // '') =~ /^\w+$/) {
                $self->{defines}{ $tokens->[$i + 1] } = 1;
                $i += 2;
            } elsif ($token eq 'macro_rules') {
                $self->{defines}{ $tokens->[$i + 2] } = 1;
                $i += 3;
            } elsif ($token =~ /^[A-Za-z_]\w*$/) {
                my @path = $token;
                my $before = $i ? $tokens->[$i - 1] : '';
                while (($tokens->[$i + 1] // '') eq '::' && ($tokens->[$i + 2] // '') =~ /^\w+$/) {
                    push @path, $tokens->[$i += 2];
                }
                $i++;
                next if $before eq '.' || $before eq '::';
                $self->{words}{ $path[0] } = 1;
                push @{ $self->{paths} }, [scalar @inline, @path];
            } else {
                $i++;
            }
        }
        ($attributes, $public) = ('', 0);
    }
    read_module($_, $file, $root) for map { @$_ } values %{ $self->{children} };
}

# Reads a tree of `use`, and returns the index after it.
sub read_use {
    my ($self, $tokens, $i, $inline, $public, @prefix) = @_;
    my @path = @prefix;
    while (1) {
        my $token = $tokens->[$i];
        if ($token eq '{') {
            $i++;
            until ($tokens->[$i] eq '}') {
                $i = read_use($self, $tokens, $i, $inline, $public, @path);
                $i++ if $tokens->[$i] eq ',';
            }
            return $i + 1;
        } elsif ($token eq '*') {
            push @{ $self->{globs} }, [$inline, @path] unless $inline && $public;
            return $i + 1;
        } elsif ($token =~ /^(?:::|\$)$/) {
            $i++;
        } elsif ($token eq 'as') {
            bind_name($self, $tokens->[$i + 1], $inline, $public, @path);
            return $i + 2;
        } elsif ($token =~ /^\w+$/) {
            push @path, $token unless $token eq 'self' && @path;
            $i++;
        } else {
            # What remains are bounds: `impl Trait + use<'a>`.
            bind_name($self, $path[-1], $inline, $public, @path) if @path;
            return $i;
        }
    }
}

sub bind_name {
    my ($self, $name, $inline, $public, @path) = @_;
    return if $inline && $public;
    $self->{aliases}{$name} = [$inline, @path] unless $name eq '_';
    push @{ $self->{imports} }, [$name, $public, $inline, @path];
}

# What a path of `$file` leads to, each item as its file and its name. Modules are no items.
sub resolve {
    my ($file, $seen, $inline, @path) = @_;
    return if $seen->{"$file @path"}++;
    my $self = $files{$file};
    my $first = shift @path;
    if ($first eq 'crate') { return walk($self->{root}, $seen, @path) }
    if ($first eq 'self') { return walk($file, $seen, @path) }
    if ($first eq 'super') {
        my ($at, $up) = ($file, 1 - $inline);
        while (@path && $path[0] eq 'super') { shift @path; $up++ }
        for (1 .. $up) { $at = $files{$at}{parent} // return }
        return walk($at, $seen, @path);
    }
    return walk($file, $seen, $first, @path) if $self->{children}{$first} || $self->{aliases}{$first};
    # A name that only a glob can have brought.
    return if $self->{defines}{$first};
    return map { from_glob($file, $seen, $_, $first, @path) } @{ $self->{globs} };
}

sub walk {
    my ($file, $seen, @path) = @_;
    return unless @path;
    my ($name, @rest) = @path;
    my $self = $files{$file} // return;
    if (my $children = $self->{children}{$name}) {
        return map { walk($_, $seen, @rest) } @$children;
    }
    my $alias = $self->{aliases}{$name};
    # A function may have the name of a module.
    return [$file, $name] if $self->{defines}{$name} && !($alias && @rest);
    if ($alias) {
        my ($inline, @to) = @$alias;
        return resolve($file, $seen, $inline, @to, @rest);
    }
    return map { from_glob($file, $seen, $_, @path) } @{ $self->{globs} };
}

# The modules that a path leads to.
sub modules {
    my ($file, $inline, @path) = @_;
    my $self = $files{$file};
    my @at = $file;
    my $first = $path[0];
    if ($first eq 'crate') { @at = $self->{root}; shift @path }
    elsif ($first eq 'self') { shift @path }
    elsif ($first eq 'super') {
        my $up = -$inline;
        while (@path && $path[0] eq 'super') { shift @path; $up++ }
        for (1 .. $up) { @at = $files{ $at[0] }{parent} // return }
    }
    for my $name (@path) {
        @at = map {
            my $at = $_;
            my $alias = $files{$at}{aliases}{$name};
            $files{$at}{children}{$name} ? @{ $files{$at}{children}{$name} }
                : $alias && $alias->[1] ne $name ? modules($at, @$alias) : ();
        } @at;
    }
    return @at;
}

sub from_glob {
    my ($file, $seen, $glob, @path) = @_;
    return map { $_ eq $file ? () : walk($_, $seen, @path) } modules($file, @$glob);
}

# Libraries, and their edges: from => { to => { name => 1 } }
my %edges;
for my $root ('src/lib.rs', glob('ipc-*/src/lib.rs'), 'testkit/src/lib.rs') {
    read_module($root, undef, $root);
}
for my $file (keys %files) {
    my $self = $files{$file};
    # A re-export that the file does not use itself is no edge.
    my @used = grep { !$_->[1] || $self->{words}{ $_->[0] } } @{ $self->{imports} };
    for my $item (map { resolve($file, {}, @$_) } @{ $self->{paths} }, map { [@$_[2 .. $#$_]] } @used) {
        my ($to, $name) = @$item;
        $edges{$file}{$to}{$name} = 1 if $to ne $file;
    }
}

if ($mode eq '--uses') {
    for my $from (sort keys %edges) {
        print "$from $_: ", join(', ', sort keys %{ $edges{$from}{$_} }), "\n"
            for sort keys %{ $edges{$from} };
    }
    exit;
}

# The files that can be reached, each with the file before it on a shortest way.
sub reached {
    my ($from) = @_;
    my (%before, @next);
    for (@next = $from; defined(my $at = shift @next);) {
        for my $to (sort keys %{ $edges{$at} // {} }) {
            next if exists $before{$to};
            $before{$to} = $at;
            push @next, $to;
        }
    }
    return \%before;
}

# The lines of the list, each as its files.
my %allowed;
if (open my $in, '<', 'ci/circles.allowed') {
    while (<$in>) {
        $allowed{$.} = { map { $_ => 1 } split } if !/^#|^\s*$/;
    }
}
my %reached = map { $_ => reached($_) } keys %edges;
my ($failed, %done, %used) = 0;
for my $file (sort keys %edges) {
    next if $done{$file} || !exists $reached{$file}{$file};
    my @circle = sort grep { exists $reached{$file}{$_} && exists $reached{$_}{$file} } keys %edges;
    @done{@circle} = (1) x @circle;
    my ($allowed) = grep { my $line = $allowed{$_}; !grep { !$line->{$_} } @circle } keys %allowed;
    $used{$allowed} = 1 if $allowed;
    next if $allowed && $mode eq '';
    $failed ||= !$allowed;
    print $allowed ? 'allowed: ' : 'circle: ', join(' ', @circle), "\n";
    for my $from (@circle) {
        for my $to (grep { my $to = $_; $edges{$from}{$to} } @circle) {
            print "    $from uses $to: ", join(', ', sort keys %{ $edges{$from}{$to} }), "\n";
        }
    }
}
for my $line (grep { !$used{$_} } sort { $a <=> $b } keys %allowed) {
    print "ci/circles.allowed:$line: there is no such circle any more: remove the line\n";
    $failed = 1;
}
exit($failed && $mode eq '' ? 1 : 0);
PERL
