# Prints the public API of a crate, one item a line, from the pages that rustdoc wrote for it:
#     perl listing.pl DIRECTORY_OF_THE_PAGES CRATE
# A page has the declaration of its item, the methods, the traits that it implements and the auto traits. Items that are
# hidden have no page. Of an item of another crate, only the kind is printed.
use strict;
use warnings;
use open qw(:std :encoding(UTF-8));

my ($root, $crate) = @ARGV;
my @auto = qw(Send Sync Unpin UnwindSafe RefUnwindSafe);
my %lines;

sub text {
    my ($html) = @_;
    $html =~ s{<summary.*?</summary>}{}gs;                   # "Show 13 variants"
    $html =~ s{<a [^>]*class="(?:src|anchor)[^>]*>.*?</a>}{}gs;
    $html =~ s{<span class="since".*?</span>}{}gs;
    $html =~ s{<(?:div|br)[^>]*>}{ }g;
    $html =~ s{<[^>]*>}{}g;
    my %entity = (lt => '<', gt => '>', amp => '&', quot => '"', '#39' => "'", nbsp => ' ');
    $html =~ s{&(\#?\w+);}{$entity{$1} // die "the entity $1"}ge;
    $html =~ s{//[^\n]*}{}g;
    $html =~ s{[\s\x{a0}\x{24d8}]+}{ }g;
    $html =~ s{^ |(?<=\() | (?=[,;)])|, ?(?=\))|,? $|,$}{}g;
    $html =~ s{\](?=pub|\#)}{] }g;
    return $html;
}

sub page {
    my ($file, $path, $kind) = @_;
    open my $in, '<', $file or die "$file: $!";
    my $html = do { local $/; <$in> };
    return if $html =~ /http-equiv="refresh"/;
    # The source of an item of another crate is elsewhere, or unknown.
    my ($source) = $html =~ m{class="src[^"]*" href="(?:\.\./)*src/(\w+)/};
    if (($source // '') ne $crate) {
        $lines{"$path: $kind, re-exported"} = 1;
        return;
    }
    my ($declaration) = $html =~ m{<pre class="rust item-decl">(.*?)</pre>}s or die "$file: no declaration";
    $lines{"$path: " . text($declaration)} = 1;
    return if $kind eq 'trait';
    # Not of this crate: what every type implements, and the methods of what this one dereferences to.
    $html =~ s{<h2 id="blanket-implementations".*}{}s;
    $html =~ s{<h2 id="deref-methods-.*?(?=<h2 id="(?:trait|synthetic)-implementations)}{}gs;
    my ($inherent, @plain) = 0;
    while ($html =~ m{<section id="([^"]*)" class="(impl|method|associatedconstant)"[^>]*>.*?<h[34] class="code-header">(.*?)</h[34]>}gs) {
        my ($id, $class, $header) = ($1, $2, text($3));
        if ($class eq 'impl') {
            my ($trait) = $id =~ /^impl-!?(\w+).*-for-/;
            $inherent = !defined $trait;
            my $synthetic = $html =~ m{id="synthetic-implementations".*?id="\Q$id\E"}s;
            next if $inherent || $trait eq 'StructuralPartialEq';
            next if $synthetic && !grep { $trait eq $_ } @auto;
            # Most implementations have nothing to say but the name of the trait.
            if ($header =~ /^impl (!?\w+) for \w+$/) {
                push @plain, $1;
            } else {
                $lines{"$path: $header"} = 1;
            }
        } elsif ($class eq 'method' || $class eq 'associatedconstant') {
            $lines{"${path}::" . ($id =~ /\.(\w+?)(?:-\d+)?$/)[0] . ": $header"} = 1 if $inherent;
        }
    }
    $lines{"$path: implements " . join ', ', sort @plain} = 1 if @plain;
}

# A page that leads elsewhere stands where a private module has what is public by another path.
sub is_module {
    my ($file) = @_;
    open my $in, '<', $file or return 0;
    local $/;
    return <$in> !~ /http-equiv="refresh"/;
}

sub directory {
    my ($dir, $path) = @_;
    opendir my $in, $dir or die "$dir: $!";
    for my $entry (sort readdir $in) {
        next if $entry =~ /^\./ || $entry eq '__private';
        if (-d "$dir/$entry") {
            $lines{"${path}::$entry: mod"} = 1 if is_module("$dir/$entry/index.html");
            directory("$dir/$entry", "${path}::$entry");
        } elsif ($entry =~ /^(struct|enum|union|trait|type|fn|macro|constant|static|derive|attr)\.(.+)\.html$/) {
            page("$dir/$entry", "${path}::$2", $1);
        }
    }
}

directory("$root/$crate", $crate);
print map { "$_\n" } sort keys %lines;
