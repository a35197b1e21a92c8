package core_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite testdata from what the code does")

// TestSchedulerTranscripts replays testdata/scheduler: comments, commands, and indented below each
// command what came of it. After each step every invariant must hold. The commands:
//
//	config ttl=15s retention=1h tasks=100 durable ...      start anew
//	restart                                                die and go on from the records (power: the machine died, too; back=1h: its clock was wrong)
//	unsynced                                               what is written from here to the restart is lost, as by a relaxed store
//	submit a b job=j fn=f prio=2 retries=1 losses=3 res=cpu:500 label=zone:eu exec=10s sched=5s bytes=10
//	register w1 slots=2 fn=f,g res=cpu:1000 label=zone:eu process=p number=2  (again: the same registration once more; held=a#1:run)
//	poll w1 free=2 max=4 wait=5s                           (lost: its answer never arrives)
//	report w1 a#1 ok ran=1s , b#1 fail nonretryable after=2s
//	beat w1 queued=a#1 run=b#1 done=c#1 wait=5s
//	unregister w1 | drain w1 grace=30s | workers | info
//	cancel a b job=j | get a | await a | watch j 0 | job j | list job=j status=PENDING | forsake watch j@0
//	advance 5s
//
// With owner=ann a call is confined to the jobs of ann; submit by=ann has new jobs be ann's, and with
// the word any is confined to none.
//
// The word w1 means that worker's newest session, and w1/1 its first.
func TestSchedulerTranscripts(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/scheduler/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("find transcripts: %v, %d files", err, len(files))
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := replay(t, string(want))
			if bytes.Equal(got, want) {
				return
			}
			if *update {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			t.Errorf("%s is not what happens now; go test -update rewrites it\n%s", file, firstDifference(got, want))
		})
	}
}

// replay carries out a transcript's commands and returns it with what came of each.
func replay(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	x := newScript()
	for i, line := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		if strings.HasPrefix(line, "\t") {
			continue
		}
		b.WriteString(line + "\n")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		told, err := x.run(line)
		if err != nil {
			t.Fatalf("line %d, %s: %v", i+1, line, err)
		}
		for _, l := range told {
			b.WriteString("\t" + l + "\n")
		}
	}
	return b.Bytes()
}

func firstDifference(got, want []byte) string {
	g, w := strings.Split(string(got), "\n"), strings.Split(string(want), "\n")
	for i := range g {
		if i >= len(w) || g[i] != w[i] {
			from := max(i-3, 0)
			return "got:\n" + strings.Join(g[from:min(i+4, len(g))], "\n") + "\nwant:\n" + strings.Join(w[from:min(i+4, len(w))], "\n")
		}
	}
	return "the end is missing"
}
