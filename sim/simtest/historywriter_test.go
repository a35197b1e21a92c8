package simtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/frayrpc/fray/sim"
	"github.com/frayrpc/fray/sim/engine"
	"github.com/frayrpc/fray/sim/engine/virtual"
)

// Events that several goroutines tell of at once are lines of their own, all of them there in the
// end.
func TestHistoryIsWrittenLineByLine(t *testing.T) {
	t.Parallel()
	var to bytes.Buffer
	options := &virtual.Options{}
	w := &historyWriter{to: &to}
	w.listen(options)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 100 {
				options.History(engine.Event{Kind: "x", Text: strings.Repeat("long ", 40)})
			}
		})
	}
	for range 100 {
		options.OnEvent(sim.Event{})
	}
	all.Wait()
	if err := w.flush(); err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(to.String()) {
		var e engine.Event
		if err := json.Unmarshal([]byte(line), &e); err != nil || e.Kind != "x" {
			t.Fatalf("%q: %v", line, err)
		}
		n++
	}
	if n != 800 {
		t.Errorf("%d lines", n)
	}
}

type refusing struct{}

func (refusing) Write([]byte) (int, error) { return 0, errors.New("no room") }

func TestHistoryThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	w := &historyWriter{to: refusing{}}
	w.add(engine.Event{Kind: "x"})
	if err := w.flush(); err == nil || err.Error() != "no room" {
		t.Errorf("got %v", err)
	}
}
