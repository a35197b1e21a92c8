package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/frayrpc/fray/fray"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stream is what go test -json writes.
type stream struct{ bytes.Buffer }

func (s *stream) event(action, name, rest string) *stream {
	fmt.Fprintf(s, `{"Time":"2024-02-29T00:00:00Z","Action":%q,"Package":"p","Test":%q%s}`+"\n", action, name, rest)
	return s
}

func (s *stream) attr(name, key, value string) *stream {
	return s.event("attr", name, fmt.Sprintf(`,"Key":%q,"Value":%q`, key, value))
}

// behaviour is a test that ends with an action, if that is not empty.
func (s *stream) behaviour(backend, variant, behaviour, action string) *stream {
	name := "Test" + backend + "/" + variant + "/" + strings.ReplaceAll(behaviour, " ", "_")
	s.event("run", name, "").attr(name, "backend", backend).attr(name, "behaviour", behaviour)
	s.event("output", name, `,"Output":"    --- FAIL: of which nothing is to be seen\n"`)
	s.event("output", name, `,"Output":"=== CONT  of which nothing is to be seen\n"`)
	s.event("output", name, fmt.Sprintf(`,"Output":"    said by %s\n"`, name))
	if why, ok := strings.CutPrefix(action, "skip "); ok {
		s.attr(name, "inapplicable", why)
		action = "skip"
	}
	if action != "" {
		s.event(action, name, "")
	}
	return s
}

// over ends the package.
func (s *stream) over(action string) *stream {
	s.WriteString(`{"Action":"output","Package":"p","Output":"said by p\n"}` + "\n")
	fmt.Fprintf(s, `{"Action":%q,"Package":"p","Elapsed":1}`+"\n", action)
	return s
}

// start has all backends with two behaviours, the second one of all but sync.
func start() *stream {
	s := new(stream)
	for _, backend := range []string{"fray", "ray", "threadpool"} { // Not in the order of the columns.
		s.behaviour(backend, "1", "it works", "pass")
		s.behaviour(backend, "1", "it waits", "pass")
	}
	s.behaviour("sync", "1", "it works", "pass")
	return s.behaviour("sync", "1", "it waits", "skip it cannot wait")
}

const header = "BEHAVIOUR           sync  threadpool  fray  ray\n"

func TestTable(t *testing.T) {
	t.Parallel()
	const works = "it works            pass  pass        pass  pass\n"
	const waits = "it waits            -     pass        pass  pass\n"
	const sums = "2 behaviours; pass  1     2           2     2\n" +
		"\n- where the backend does not have the behaviour:\n  sync: it cannot wait\n"
	const built = `{"ImportPath":"p","Action":"build-output","Output":"p.go:1:1: no such thing\n"}` + "\n"
	warned, broken := start(), new(stream)
	warned.WriteString(built)
	broken.WriteString(built + `{"ImportPath":"p","Action":"build-fail"}` + "\n")
	for name, tt := range map[string]struct {
		in   *stream
		want string // the whole output, or a part of it if the run fails
		fail bool
	}{
		"all pass": {in: start().over("pass"), want: header + works + waits + sums},
		"one fails in one way": {
			in:   start().behaviour("fray", "2", "it works", "fail").behaviour("fray", "3", "it works", "pass").over("fail"),
			fail: true, want: "it works            pass  pass        FAIL  pass\n",
		},
		"one is skipped in one way": {
			in:   start().behaviour("fray", "2", "it works", "skip it cannot work").over("pass"),
			want: header + works + waits + sums + "  fray: it cannot work\n",
		},
		"a failure is told": {
			in:   start().behaviour("ray", "2", "it waits", "fail").event("fail", "Testray", "").over("fail"),
			fail: true,
			want: "\nFAIL Testray/2/it_waits\n    said by Testray/2/it_waits\n\nFAIL p\nsaid by p\n",
		},
		"what does not end fails": {
			in: start().behaviour("fray", "2", "it waits", "").over("fail"), fail: true,
			want: "it waits            -     pass        FAIL  pass\n",
		},
		"what does not end is named": {
			in: start().behaviour("fray", "2", "it waits", "").over("fail"), fail: true,
			want: "\nTestfray/2/it_waits did not end\n",
		},
		"a skip without a reason fails": {
			in: start().behaviour("ray", "2", "it works", "skip").over("pass"), fail: true,
			want: "Testray/2/it_works was skipped, and does not say why",
		},
		"a failure beside the suite fails": {in: start().over("fail"), fail: true, want: "FAIL p\nsaid by p\n"},
		"an unknown backend fails": {
			in: start().behaviour("abacus", "1", "it works", "pass").over("pass"), fail: true,
			want: `is of backend "abacus", which`,
		},
		"an untested behaviour fails": {
			in: start().behaviour("sync", "1", "it ends", "pass").over("pass"), fail: true,
			want: "\nthreadpool was tested for 2 of 3 behaviours\nfray was tested for 2 of 3 behaviours\nray",
		},
		"an untested backend fails": {
			in: new(stream).over("pass"), fail: true, want: "sync was tested for 0 of 0 behaviours\n",
		},
		"a go test that does not end fails": {
			in: start(), fail: true, want: "go test did not come to the end of a package",
		},
		"a build that fails is told":    {in: broken.over("fail"), fail: true, want: "FAIL p\np.go:1:1: no such thing\n\nFAIL p\nsaid"},
		"a build that warns is no fail": {in: warned.over("pass"), want: header + works + waits + sums},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			err := run(tt.in, &out)
			asWanted := strings.Contains(out.String(), tt.want) && errors.Is(err, errFailed)
			if !tt.fail {
				asWanted = out.String() == tt.want && err == nil
			}
			if !asWanted {
				t.Errorf("%v\n%s\nwant\n%s", err, out.String(), tt.want)
			}
		})
	}
}

func TestLogsAreBounded(t *testing.T) {
	t.Parallel()
	in := start().behaviour("ray", "2", "it waits", "")
	const line = 1000
	for range 2 * maxLog / line {
		in.event("output", "Testray/2/it_waits", fmt.Sprintf(`,"Output":%q`, strings.Repeat("x", line-1)+"\n"))
	}
	var out strings.Builder
	err := run(in.over("fail"), &out)
	if !errors.Is(err, errFailed) || out.Len() > maxLog+line || out.Len() < maxLog-line {
		t.Errorf("%v, and %d bytes of output", err, out.Len())
	}
}

func TestInputMustBeEvents(t *testing.T) {
	t.Parallel()
	in := start()
	in.WriteString("panic: no event\n")
	var out strings.Builder
	err := run(in, &out)
	if err == nil || !strings.Contains(err.Error(), "line 58 of the input is none of go test -json") {
		t.Errorf("got %v", err)
	}
}

// The suite says of its tests what the table has to know.
func TestSuiteSaysWhatItTests(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-json",
		"-run", "^TestSyncConforms$/^(a value comes back|Get gives up with its context)$", "../../fray")
	events, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, events)
	}
	table := newTable([]fray.Kind{fray.KindSync})
	for line := range bytes.Lines(events) {
		var e event
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatal(err)
		}
		table.note(e)
	}
	table.close()
	var out strings.Builder
	table.write(&out)
	const want = `BEHAVIOUR                      sync
a value comes back             pass
Get gives up with its context  -
2 behaviours; pass             1

- where the backend does not have the behaviour:
  sync: Run returns when the task has ended
`
	if table.failed() || out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}
