package sim

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// DefaultStall is how much real time may pass without anything happening in a simulation until a
// Watchdog speaks.
const DefaultStall = time.Minute

// A Stall is a simulation that goes no further in real time: a goroutine of its bubble is neither
// over nor durably blocked, such as one that loops, that waits for a mutex, or for something
// outside. Nothing can end it but the end of the process.
type Stall struct {
	// After is how much real time has passed without anything happening.
	After time.Duration
	// Elapsed is the virtual time at which the simulation was seen last, before it slept or
	// software went to work, and Steps how many messages it had released.
	Elapsed time.Duration
	Steps   int64
	// Stacks are those of the goroutines in the way, as package runtime prints them.
	Stacks string
}

// String tells it in words, with the stacks.
func (s Stall) String() string {
	return fmt.Sprintf("nothing has happened for %v of real time: virtual time was last seen at %v, after %d messages. In the way is what is neither over nor "+
		"durably blocked (a loop, a mutex that is held across a call, something outside of the simulation):\n\n%s", s.After, s.Elapsed, s.Steps, s.Stacks)
}

// A Watchdog sees in real time to it that simulations go on. It is made outside of their bubbles,
// given to them in Config.Watchdog, and closed once they are over. It speaks once.
type Watchdog struct {
	limit   time.Duration
	onStall func(Stall)
	signs   atomic.Int64 // of life
	elapsed atomic.Int64
	steps   atomic.Int64
	bubble  atomic.Pointer[string] // which goroutines are its, as their headers say; nil: no simulation has begun

	stop chan struct{}
	done sync.WaitGroup
	once sync.Once
}

// watchdogLooks is how often a Watchdog looks within its limit. It counts looks, so that time in
// which the process did not run at all is nobody's stall.
const watchdogLooks = 10

// NewWatchdog returns a watchdog that calls onStall, on a goroutine of its own, when for that much
// real time nothing has happened in the simulation that it watches. With a limit of 0 it is
// DefaultStall. With one below 0, and where a debugger traces the process, it does nothing.
func NewWatchdog(limit time.Duration, onStall func(Stall)) *Watchdog {
	if limit == 0 {
		limit = DefaultStall
	}
	w := &Watchdog{limit: limit, onStall: onStall, stop: make(chan struct{})}
	if limit > 0 && !traced() {
		w.done.Go(w.watch)
	}
	return w
}

// Closed says whether the watchdog was closed.
func (w *Watchdog) Closed() bool {
	select {
	case <-w.stop:
		return true
	default:
		return false
	}
}

// Close ends the watchdog, and waits for onStall if it is being called.
func (w *Watchdog) Close() {
	w.once.Do(func() { close(w.stop) })
	w.done.Wait()
}

func (w *Watchdog) watch() {
	ticker := time.NewTicker(max(w.limit/watchdogLooks, time.Millisecond))
	defer ticker.Stop()
	last, quiet := int64(-1), 0
	for {
		select {
		case <-w.stop:
			return
		case <-ticker.C:
		}
		if signs := w.signs.Load(); signs != last || w.bubble.Load() == nil {
			last, quiet = signs, 0
			continue
		}
		if quiet++; quiet >= watchdogLooks {
			w.onStall(w.Look())
			return
		}
	}
}

// Look returns how the simulation stands, as if it had stalled just now.
func (w *Watchdog) Look() Stall {
	s := Stall{After: w.limit, Elapsed: time.Duration(w.elapsed.Load()), Steps: w.steps.Load()}
	if bubble := w.bubble.Load(); bubble != nil {
		s.Stacks = inTheWay(*bubble)
	}
	return s
}

// begin is called by the goroutine that steps a new simulation.
func (w *Watchdog) begin() {
	if w == nil {
		return
	}
	header := make([]byte, 256)
	header = header[:runtime.Stack(header, false)]
	bubble := string(bubbleOf.Find(header))
	w.bubble.Store(&bubble)
}

// alive is called whenever something has happened.
func (w *Watchdog) alive(elapsed int64, steps int) {
	if w == nil {
		return
	}
	w.elapsed.Store(elapsed)
	w.steps.Store(int64(steps))
	w.signs.Add(1)
}

// Bounds of the stacks of a Stall, in bytes.
const (
	maxStacks = 64 << 20 // of all goroutines
	maxTold   = 16 << 10 // of those in the way
)

var bubbleOf = regexp.MustCompile(`synctest bubble \d+`)

// inTheWay returns the stacks of those goroutines of a bubble that are not durably blocked, but for
// the one that waits for them.
func inTheWay(bubble string) string {
	all := make([]byte, 1<<20)
	for {
		n := runtime.Stack(all, true)
		if n < len(all) || len(all) >= maxStacks {
			all = all[:n]
			break
		}
		all = make([]byte, 2*len(all))
	}
	var told strings.Builder
	left := 0
	for stack := range bytes.SplitSeq(all, []byte("\n\n")) {
		header, _, _ := bytes.Cut(stack, []byte("\n"))
		state := string(header)
		at := strings.Index(state, bubble)
		if at < 0 || !strings.ContainsRune("] ,", rune(state[at+len(bubble)])) || strings.Contains(state, "(durable)") || strings.Contains(state, "[synctest.") {
			continue
		}
		if told.Len()+len(stack) > maxTold {
			left++
			continue
		}
		told.Write(bytes.TrimSpace(stack))
		told.WriteString("\n\n")
	}
	if left > 0 {
		fmt.Fprintf(&told, "and %d more", left)
	}
	return strings.TrimSpace(told.String())
}

// traced says whether a debugger holds the process, as far as the system tells: where it does not,
// a limit below 0 helps.
func traced() bool {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(status)) {
		if pid, ok := strings.CutPrefix(line, "TracerPid:"); ok {
			return strings.TrimSpace(pid) != "0"
		}
	}
	return false
}
