package mapplan_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/frayrpc/fray/cmd/fray/internal/mapplan"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// files are what a plan can open.
type files map[string]string

func (f files) open(path string) (io.ReadCloser, error) {
	text, ok := f[path]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return io.NopCloser(strings.NewReader(text)), nil
}

// commands returns the commands of a line, each with its words joined by bars, and the error at the end.
func commands(words []string, before []mapplan.Source, o mapplan.Options) (got []string, err error) {
	line, err := mapplan.Split(words, before)
	if err != nil {
		return nil, err
	}
	t := mapplan.ParseTemplate(line.Command, "")
	for job, err := range mapplan.Jobs(line.Sources, o) {
		if err != nil {
			return got, err
		}
		got = append(got, strings.Join(t.Expand(job.Args, job.Number, "SLOT"), "|"))
	}
	return got, nil
}

func TestCommandsOfALine(t *testing.T) {
	t.Parallel()
	some := files{"f": "1\n2\n3\n", "g": "x\ny", "table": "a, b\nc ,d,e\nf\n", "nul": "a\nb\x00c\x00"}
	comma := regexp.MustCompile(",")
	for _, tt := range []struct {
		name    string
		line    string // words with spaces between
		before  []mapplan.Source
		options mapplan.Options
		want    string // commands with spaces between, and underscores for those within
	}{
		{name: "the input comes last", line: "echo -n ::: a b", want: "echo|-n|a echo|-n|b"},
		{name: "where it is wanted", line: "cp {} x{}y{} ::: a b", want: "cp|a|xaya cp|b|xbyb"},
		{name: "of a path", line: "e {.} {/} {//} {/.} ::: a/b.c/d.tar.gz f", want: "e|a/b.c/d.tar|d.tar.gz|a/b.c|d.tar e|f|f|.|f"},
		{name: "numbers", line: "e {#}-{%} {} ::: a b", want: "e|1-SLOT|a e|2-SLOT|b"},
		{name: "a number is enough", line: "e {#} ::: a b", want: "e|1 e|2"},
		{name: "two lists", line: "e ::: a b ::: 1 2", want: "e|a|1 e|a|2 e|b|1 e|b|2"},
		{name: "positions", line: "e {2}{1} {-1} {2/} {1.} ::: a.x ::: p/q", want: "e|p/qa.x|p/q|q|a"},
		{name: "linked", line: "e {1}{2} ::: a b c :::+ 1 2", want: "e|a1 e|b2"},
		{name: "linked, then combined", line: "e {1}{2}{3} ::: a b :::+ 1 2 ::: X Y", want: "e|a1X e|a1Y e|b2X e|b2Y"},
		{name: "combined, then linked", line: "e {1}{2}{3} ::: X Y ::: a b :::+ 1 2", want: "e|Xa1 e|Xb2 e|Ya1 e|Yb2"},
		{name: "files", line: "e :::: f g", want: "e|1|x e|1|y e|2|x e|2|y e|3|x e|3|y"},
		{name: "a list and a file", line: "e {1}{2} ::: a b ::::+ f", want: "e|a1 e|b2"},
		{name: "a file before", line: "e ::: a", before: []mapplan.Source{{Path: "g"}}, want: "e|x|a e|y|a"},
		{name: "an empty list", line: "e ::: a b :::", want: ""},
		{name: "NUL bytes", line: "e", before: []mapplan.Source{{Path: "nul"}}, options: mapplan.Options{Delimiter: 0}, want: "e|a\nb e|c"},
		{name: "columns", line: "e {2} {1} {} x{}", before: []mapplan.Source{{Path: "table"}}, options: mapplan.Options{Columns: comma}, want: "e|b|a|a|b|xa_b e|d|c|c|d|e|xc_d_e e|f|f|xf"},
		{name: "columns come last", line: "e", before: []mapplan.Source{{Path: "table"}}, options: mapplan.Options{Columns: comma}, want: "e|a|b e|c|d|e e|f"},
		{name: "several for each", line: "e ::: 1 2 3 4 5", options: mapplan.Options{PerJob: 2}, want: "e|1|2 e|3|4 e|5"},
		{name: "several, by position", line: "e {1}+{2} {} ::: 1 2 3", options: mapplan.Options{PerJob: 2}, want: "e|1+2|1|2 e|3+|3"},
		{name: "what is missing falls away", line: "e {1} {2} end ::: 1 2 3", options: mapplan.Options{PerJob: 2}, want: "e|1|2|end e|3|end"},
		{name: "none for each", line: "e x ::: a b", options: mapplan.Options{NoArguments: true}, want: "e|x e|x"},
		{name: "an empty input", line: "e {} [{}] :::  a", want: "e||[] e|a|[a]"},
		{name: "what a shell takes", line: "e ${1} ${#} $${} ::: a", want: "e|${1}|${#}|$$a"},
		{name: "what is no replacement string", line: "e {foo} {0} { } {{}} {1,2} ::: a", want: "e|{foo}|{0}|{|}|{a}|{1,2}"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.options.Open = some.open
			if tt.options.Delimiter == 0 && tt.name != "NUL bytes" {
				tt.options.Delimiter = '\n'
			}
			got, err := commands(strings.Split(tt.line, " "), tt.before, tt.options)
			for i, command := range got {
				got[i] = strings.ReplaceAll(command, " ", "_")
			}
			if text := strings.Join(got, " "); err != nil || text != tt.want {
				t.Errorf("got %q, %v, want %q", text, err, tt.want)
			}
		})
	}
}

// What is wrong with a line, or with what it names, is said with its place.
func TestLinesThatAreRefused(t *testing.T) {
	t.Parallel()
	some := files{"nul": "a\x00b\n", "long": strings.Repeat("x", 200_000)}
	for line, want := range map[string]string{
		"e :::+ a":     ":::+: there is nothing before it",
		"e ::::+ a":    "::::+: there is nothing before it",
		"e ::::":       "::::: no file follows",
		"e :::: no":    "open inputs: file does not exist",
		"e :::: nul":   "nul: input 1 has a NUL byte: pass --null",
		"e :::: long":  "long: input 1 has more than 131072 bytes",
		"e ::: a ::::": "::::: no file follows",
	} {
		_, err := commands(strings.Split(line, " "), nil, mapplan.Options{Open: some.open, Delimiter: '\n'})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", line, err, want)
		}
		var input *mapplan.InputError
		var separator *mapplan.LineError
		if !errors.As(err, &input) && !errors.As(err, &separator) {
			t.Errorf("%s: %v is not about what the user named", line, err)
		}
	}
}

// A job that lacks inputs says so, for it is the last one; the others do not.
func TestPartialJobs(t *testing.T) {
	t.Parallel()
	var partial []bool
	for job, err := range mapplan.Jobs([]mapplan.Source{{Values: []string{"1", "2", "3"}}}, mapplan.Options{PerJob: 2}) {
		if err != nil {
			t.Fatal(err)
		}
		partial = append(partial, job.Partial)
	}
	if !slices.Equal(partial, []bool{false, true}) {
		t.Errorf("partial are %v", partial)
	}
}

// Shuffled commands are the same, in an order that a seed determines, and numbered in that order.
func TestShuffled(t *testing.T) {
	t.Parallel()
	var values []string
	for i := range 100 {
		values = append(values, fmt.Sprint(i))
	}
	run := func(seed uint64) (got []string) {
		for job, err := range mapplan.Jobs([]mapplan.Source{{Values: values}}, mapplan.Options{Shuffle: rand.New(rand.NewPCG(seed, 0))}) {
			if err != nil || job.Number != len(got)+1 {
				t.Fatal(job, err)
			}
			got = append(got, job.Name())
		}
		return got
	}
	a, b, c := run(1), run(1), run(2)
	if !slices.Equal(a, b) || slices.Equal(a, c) || slices.Equal(a, values) {
		t.Errorf("got %v, %v and %v", a, b, c)
	}
	slices.Sort(a)
	slices.Sort(values)
	if !slices.Equal(a, values) {
		t.Errorf("got %v", a)
	}
}

// How many there will be is known without a look at files, or by one.
func TestTotalIsHowManyThereAre(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"e ::: a b c", "e ::: a b ::: 1 2 3", "e ::: a b c :::+ 1 2 ::: x y", "e :::", "e ::: a ::: b :::+ c d"} {
		for perJob := range 4 {
			l, err := mapplan.Split(strings.Split(line, " "), nil)
			if err != nil {
				t.Fatal(err)
			}
			o := mapplan.Options{PerJob: perJob}
			_, want, err := mapplan.Count(mapplan.Jobs(l.Sources, o))
			if got := mapplan.Total(l.Sources, o); got != want || err != nil {
				t.Errorf("%s by %d: total %d, counted %d, %v", line, perJob, got, want, err)
			}
		}
	}
	if n := mapplan.Total([]mapplan.Source{{Path: "f"}}, mapplan.Options{}); n != 0 {
		t.Errorf("a file has %d", n)
	}
}

func TestStrangeReplacementStrings(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ words, want string }{
		{"echo {} {.} {/} {//} {/.} {#} {%} {1} {-1} {2.}", ""},
		{"echo {foo} {foo} x{bar}y", "{foo} {bar}"},
		{"echo {..} {:} {+/} {0} {1:}", "{:} {+/} {0} {1:}"},
		{"sh -c ${x}/${1}/{print $1}/{a,b}/{1..9}", ""},
		{"awk {print}", ""},
		{"git show stash@{u}", ""},
		{"{x}", "{x}"},
	} {
		if got := strings.Join(mapplan.Strange(strings.Split(tt.words, " "), ""), " "); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.words, got, tt.want)
		}
	}
	if got := mapplan.Strange([]string{"echo", "{foo}"}, "{foo}"); len(got) > 0 {
		t.Errorf("what replaces {} is strange: %q", got)
	}
}

func TestAnotherNameForTheInput(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ all, word, want string }{{"%", "a%b{}{.}", "aX.Yb{}X"}, {"{}", "{}%", "X.Y%"}, {"{foo}", "{foo}", "X.Y"}} {
		if got := mapplan.ParseTemplate([]string{"e", tt.word}, tt.all).Expand([]string{"X.Y"}, 1, "")[1]; got != tt.want {
			t.Errorf("with %s, %s is %s, want %s", tt.all, tt.word, got, tt.want)
		}
	}
}

func TestShellHint(t *testing.T) {
	t.Parallel()
	for words, want := range map[string]string{
		"echo":             "",
		"echo {} | wc -c":  `fray map -- sh -c 'echo "$1" | wc -c' sh {}`,
		"ls *.go":          `fray map -- sh -c 'ls *.go "$1"' sh {}`,
		"/bin/echo":        "",
		"wc -l <{.}.txt":   `fray map -- sh -c 'wc -l <{.}.txt' sh {}`,
		"./a-b_c.d:e@f=g+": "",
	} {
		if got := mapplan.ShellHint([]string{words}); !strings.HasSuffix(got, want) || (want == "") != (got == "") {
			t.Errorf("%s: %q, want %q", words, got, want)
		}
	}
	if got := mapplan.ShellHint([]string{"a b", "c"}); got != "" {
		t.Errorf("of two words: %q", got)
	}
}

func TestHalt(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text            string
		ok, failed, all int
		want            bool
	}{
		{"never", 5, 5, 10, false},
		{"now,fail=1", 5, 0, 0, false},
		{"now,fail=1", 5, 1, 0, true},
		{"soon,fail=3", 0, 2, 0, false},
		{"soon,fail=3", 0, 3, 0, true},
		{"soon,fail=20%", 0, 1, 10, false},
		{"soon,fail=20%", 7, 2, 10, true},
		{"now,fail=20%", 7, 0, 1, false},
		{"now,success=1", 1, 0, 0, true},
		{"now,success=100%", 9, 1, 10, false},
		{"soon,done=4", 2, 2, 0, true},
		{"soon,done=4", 1, 2, 0, false},
	} {
		h, err := mapplan.ParseHalt(tt.text)
		if err != nil || h.String() != tt.text || h.Reached(tt.ok, tt.failed, tt.all) != tt.want {
			t.Errorf("%s reads as %s, %v, and %d and %d of %d make %v", tt.text, h, err, tt.ok, tt.failed, tt.all, !tt.want)
		}
	}
	for _, text := range []string{"", "now", "2", "now,fail", "now,fail=0", "later,fail=1", "soon,lost=1", "soon,fail=101%", "soon,fail=-1", "soon,fail=0%", "now,fail=1,"} {
		if h, err := mapplan.ParseHalt(text); err == nil {
			t.Errorf("%q reads as %s", text, h)
		}
	}
}

func TestParseJobs(t *testing.T) {
	t.Parallel()
	const cpus = 4
	for text, want := range map[string]int{
		"1": 1, "8": 8, "0": mapplan.MaxJobs, "50%": 2, "200%": 8, "1%": 1, "+2": 6, "-1": 3, "-9": 1, "1000": 1000,
		"": 0, "x": 0, "1001": 0, "0%": 0, "+50%": 0, "+-1": 0, "1.5": 0, "-": 0, "+": 0, "%": 0, "99999999999": 0,
	} {
		got, err := mapplan.ParseJobs(text, cpus)
		if got != want || (err == nil) != (want > 0) {
			t.Errorf("%q is %d, %v, want %d", text, got, err, want)
		}
	}
}

func TestParseTime(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{"2": 2 * time.Second, "0.5": 500 * time.Millisecond, "1h30m": 90 * time.Minute, "0": 0, "250ms": 250 * time.Millisecond} {
		if got, err := mapplan.ParseTime(text); got != want || err != nil {
			t.Errorf("%q is %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "x", "1e9", "NaN", "99999999999", "1 s"} {
		if got, err := mapplan.ParseTime(text); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
}

func TestParseSize(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{"1": 1, "10k": 10_000, "10K": 10_240, "1m": 1_000_000, "1M": 1 << 20, "2G": 2 << 30, "1KiB": 1024, "1MB": 1e6, "5B": 5} {
		if got, err := mapplan.ParseSize(text); got != want || err != nil {
			t.Errorf("%q is %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "0", "-1", "K", "1x", "1KK", "9999999999999G", "1.5M"} {
		if got, err := mapplan.ParseSize(text); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
}

func TestParseDelimiter(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]byte{",": ',', `\n`: '\n', `\t`: '\t', `\0`: 0, `\\`: '\\', `\`: '\\'} {
		if got, err := mapplan.ParseDelimiter(text); got != want || err != nil {
			t.Errorf("%q is %v, %v, want %v", text, got, err, want)
		}
	}
	if got, err := mapplan.ParseDelimiter("ab"); err == nil {
		t.Errorf("ab is %v", got)
	}
}

// blocks are those that a text is cut into.
func blocks(b mapplan.Blocks, r io.Reader) (got []string, err error) {
	if b.Most == 0 {
		b.Most = 1 << 20
	}
	for job, err := range b.Jobs(r, "stream") {
		if err != nil {
			return got, err
		}
		got = append(got, string(job.Block))
	}
	return got, nil
}

func TestBlocks(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		b    mapplan.Blocks
		text string
		want []string
	}{
		{"nothing", mapplan.Blocks{End: "\n", Bytes: 5}, "", nil},
		{"lines", mapplan.Blocks{End: "\n", Bytes: 5}, "1\n2\n3\n45\n6\n", []string{"1\n2\n", "3\n45\n", "6\n"}},
		{"a last line without its end", mapplan.Blocks{End: "\n", Bytes: 2}, "1\n2", []string{"1\n", "2"}},
		{"a record that is longer", mapplan.Blocks{End: "\n", Bytes: 3}, "12345\n6\n", []string{"12345\n", "6\n"}},
		{"records by number", mapplan.Blocks{End: "\n", Records: 2}, "1\n2\n3\n", []string{"1\n2\n", "3\n"}},
		{"another end", mapplan.Blocks{End: ";", Records: 2}, "a;b;c;d", []string{"a;b;", "c;d"}},
		{"a start", mapplan.Blocks{Start: ">", Records: 1}, ">a\nb\n>c\n>d\n", []string{">a\nb\n", ">c\n", ">d\n"}},
		{"starts by bytes", mapplan.Blocks{Start: ">", Bytes: 7}, ">a\n>b\n>c\n", []string{">a\n>b\n", ">c\n"}},
		{"an end and a start", mapplan.Blocks{End: "\n", Start: ">", Records: 1}, ">a\nb\n>c\n", []string{">a\nb\n", ">c\n"}},
		{"any byte", mapplan.Blocks{Bytes: 3}, "abcdefgh", []string{"abc", "def", "gh"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got, err := blocks(tt.b, strings.NewReader(tt.text)); !slices.Equal(got, tt.want) || err != nil {
				t.Errorf("got %q, %v, want %q", got, err, tt.want)
			}
		})
	}
	_, err := blocks(mapplan.Blocks{End: "\n", Bytes: 1, Most: 10}, strings.NewReader(strings.Repeat("x", 1<<20)))
	if err == nil || !strings.Contains(err.Error(), "stream: block 1 has no end within 10 bytes") {
		t.Errorf("a record of a MiB: %v", err)
	}
}

// A block ends where the same text cut by hand does, however the text arrives; and all of the text is in them.
func FuzzBlocks(f *testing.F) {
	f.Add("1\n2\n3\n", "\n", "", 3, 0)
	f.Add(">a\n>b\n", "", ">", 0, 1)
	f.Add("a;b;;c", ";", "", 0, 2)
	f.Add("aaa", "a", "a", 1, 0)
	f.Fuzz(func(t *testing.T, text, end, start string, size, records int) {
		if size < 1 || size > 1000 || records < 0 || records > 1000 || len(text) > 10_000 || len(end)+len(start) > 10 {
			return
		}
		b := mapplan.Blocks{End: end, Start: start, Bytes: int64(size), Records: records}
		whole, err := blocks(b, strings.NewReader(text))
		if err != nil || strings.Join(whole, "") != text {
			t.Errorf("%q is cut into %q, %v", text, whole, err)
		}
		pieces, err := blocks(b, &byByte{text})
		if err != nil || !slices.Equal(pieces, whole) {
			t.Errorf("%q is cut into %q, and if it comes in pieces into %q, %v", text, whole, pieces, err)
		}
		for i, block := range whole[:max(0, len(whole)-1)] {
			if block == "" || end != "" && !strings.HasSuffix(block, end) || !strings.HasPrefix(strings.Join(whole[i+1:], ""), start) {
				t.Errorf("%q: block %q ends within a record, before %q", text, block, whole[i+1])
			}
		}
	})
}

// byByte is a reader of one byte at a time.
type byByte struct{ rest string }

func (r *byByte) Read(p []byte) (int, error) {
	if r.rest == "" {
		return 0, io.EOF
	}
	n := copy(p[:1], r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

func TestLog(t *testing.T) {
	t.Parallel()
	e := mapplan.Entry{Number: 3, Host: ":", StartMicros: 1_700_000_000_012_345, TookMicros: 2_005_000, Sent: 7, Received: 9, Exit: 1, Command: "a\tb\nc"}
	if got, want := e.String(), "3\t:\t1700000000.012\t     2.005\t7\t9\t1\t0\ta\\tb\\nc\n"; got != want {
		t.Errorf("the line is %q, want %q", got, want)
	}
	good := mapplan.Entry{Number: 4, Command: "x"}
	killed := mapplan.Entry{Number: 5, Signal: 9, Command: "y"}
	again := e
	again.Exit = 0
	whole := mapplan.LogHeader() + e.String() + good.String() + killed.String() + again.String()
	l, err := mapplan.ReadLog(strings.NewReader(whole + "6\t:\t17000"))
	if err != nil || l.Bytes != int64(len(whole)) {
		t.Errorf("%d bytes, %v, want %d", l.Bytes, err, len(whole))
	}
	for number, want := range map[int][2]bool{1: {false, false}, 3: {true, false}, 4: {true, false}, 5: {true, true}, 6: {false, false}} {
		if ended, failed := l.Ended(number); ended != want[0] || failed != want[1] {
			t.Errorf("job %d ended %v and failed %v, want %v", number, ended, failed, want)
		}
	}
	for text, want := range map[string]string{
		"something\n":                              "not that of a log of jobs",
		mapplan.LogHeader() + "1\t2\n":             "line 2: it has 2 columns, not 9",
		mapplan.LogHeader() + "x" + e.String()[1:]: `line 2: "x" is no number of a job`,
	} {
		if _, err := mapplan.ReadLog(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// What is written to a log reads as it was; whatever stands there is read or refused.
func FuzzLog(f *testing.F) {
	f.Add(1, 0, 0, "a b", "")
	f.Add(7, 1, 9, "a\tb\n", mapplan.LogHeader())
	f.Fuzz(func(t *testing.T, number, exit, signal int, command, text string) {
		_, _ = mapplan.ReadLog(strings.NewReader(text))
		if number < 1 {
			return
		}
		e := mapplan.Entry{Number: number, Exit: exit, Signal: signal, Command: command}
		l, err := mapplan.ReadLog(strings.NewReader(mapplan.LogHeader() + e.String()))
		if ended, failed := l.Ended(number); err != nil || !ended || failed != e.Failed() {
			t.Errorf("%q reads as %v and %v, %v", e, ended, failed, err)
		}
	})
}

func TestResultsOfJobs(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 300)
	for _, tt := range []struct{ path, args, want string }{
		{"out", "a,b", "out/1/a/2/b/stdout"},
		{"out/", "a", "out/1/a/stdout"},
		{"out", "a/b", `out/1/a\_b/stdout`},
		{"out", "..", `out/1/\../stdout`},
		{"out", `\`, `out/1/\\/stdout`},
		{"out/{/.}.txt", "p/q.r", "out/q.txt"},
		{"out/{#}/", "a", "out/7/stdout"},
	} {
		r, err := mapplan.NewResults(tt.path, "")
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Of(mapplan.Job{Number: 7, Args: strings.Split(tt.args, ",")}).Stdout; got != tt.want {
			t.Errorf("%s of %s is %s, want %s", tt.path, tt.args, got, tt.want)
		}
	}
	r, err := mapplan.NewResults("out", "")
	if err != nil {
		t.Fatal(err)
	}
	a, b := r.Of(mapplan.Job{Args: []string{long + "a"}}).Stdout, r.Of(mapplan.Job{Args: []string{long + "b"}}).Stdout
	if a == b || len(a) > len("out/1//stdout")+255 {
		t.Errorf("long names become %s and %s", a, b)
	}
	if got := r.Of(mapplan.Job{Number: 3}).Stderr; got != "out/3/stderr" {
		t.Errorf("without arguments: %s", got)
	}
	if _, err := mapplan.NewResults("all.csv", ""); !errors.Is(err, mapplan.ErrNoColumns) {
		t.Errorf("all.csv: %v", err)
	}
}

// Inputs are what stands between delimiters, each byte of it, or the text is refused.
func FuzzRead(f *testing.F) {
	f.Add([]byte("a\nb\n\n"), byte('\n'))
	f.Add([]byte("a\x00b"), byte(0))
	f.Add([]byte("a\x00b"), byte('\n'))
	f.Fuzz(func(t *testing.T, text []byte, delimiter byte) {
		var got []string
		for input, err := range mapplan.Read(strings.NewReader(string(text)), "inputs", delimiter) {
			if err != nil {
				if !strings.Contains(err.Error(), "inputs") {
					t.Errorf("the error does not say where: %v", err)
				}
				return
			}
			got = append(got, input)
		}
		want := strings.Split(string(text), string([]byte{delimiter}))
		if want[len(want)-1] == "" {
			want = want[:len(want)-1]
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q is read as %q", text, got)
		}
	})
}

// An input is put where {} stands, or at the end; nothing of it is taken for a replacement string again.
func FuzzTemplate(f *testing.F) {
	f.Add("{}", "a")
	f.Add("a{}b{}", "{}")
	f.Add("{{}}", "{1}")
	f.Add("", "\xff")
	f.Add("{.}{/}", "a/b.c")
	f.Fuzz(func(t *testing.T, word, input string) {
		for other := range 10 {
			if strings.Contains(word, fmt.Sprintf("{%d", other)) {
				return
			}
		}
		if regexp.MustCompile(`\{(-|#|%|\.|/)`).MatchString(word) {
			_ = mapplan.ParseTemplate([]string{"program", word}, "").Expand([]string{input}, 1, "1")
			return
		}
		got := mapplan.ParseTemplate([]string{"program", word}, "").Expand([]string{input}, 1, "1")
		want := []string{"program", strings.Join(strings.Split(word, "{}"), input)}
		if !strings.Contains(word, "{}") {
			want = []string{"program", word, input}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q with %q is %q", word, input, got)
		}
	})
}
