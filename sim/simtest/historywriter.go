package simtest

import (
	"encoding/json"
	"io"
	"sync"

	"github.com/frayrpc/fray/sim"
	"github.com/frayrpc/fray/sim/engine"
	"github.com/frayrpc/fray/sim/engine/virtual"
)

// historyBuffer is from how many bytes on a historyWriter writes.
const historyBuffer = 64 << 10

// A historyWriter writes the events of a history as lines of JSON. Software of hosts tells it of
// them, and must neither wait for it nor write to a file itself: the goroutine that steps does that.
type historyWriter struct {
	to io.Writer

	mu   sync.Mutex
	text []byte
	err  error
}

// listen has a run's options tell the writer what happens.
func (w *historyWriter) listen(options *virtual.Options) {
	options.History = w.add
	options.OnEvent = func(sim.Event) { w.write(historyBuffer) }
}

func (w *historyWriter) add(e engine.Event) {
	line, err := json.Marshal(e)
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		w.err = err
		return
	}
	w.text = append(append(w.text, line...), '\n')
}

// write writes what there is, if that is so many bytes.
func (w *historyWriter) write(least int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.text) < least || w.err != nil {
		return
	}
	_, w.err = w.to.Write(w.text)
	w.text = w.text[:0]
}

// flush writes the rest, and returns what went wrong.
func (w *historyWriter) flush() error {
	w.write(0)
	return w.err
}
