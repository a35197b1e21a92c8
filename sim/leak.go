package sim

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/frayrpc/fray/internal/glob"
	"github.com/frayrpc/fray/sim/order"
)

// Leak is goroutines of one stack that a host has left behind.
type Leak struct {
	Host        string
	Incarnation int
	Count       int
	Stack       string // functions, innermost first
}

// A LeakError says that goroutines of stopped or crashed software would not end.
type LeakError struct {
	Leaks []Leak
}

// Error implements error.
func (e *LeakError) Error() string {
	var b strings.Builder
	total := 0
	for _, l := range e.Leaks {
		total += l.Count
	}
	fmt.Fprintf(&b, "%d goroutines leaked", total)
	for _, l := range e.Leaks {
		fmt.Fprintf(&b, "\n%d of %s (incarnation %d):\n%s", l.Count, l.Host, l.Incarnation, l.Stack)
	}
	return b.String()
}

// awaitEnd waits until no goroutine of any host is left, or Config.LeakGrace is over, and then
// records those that are. It lets time pass in growing steps, because to look costs real time. A
// step ends early when a host's software ends meanwhile.
func (s *Sim) awaitEnd() {
	end := s.now() + int64(s.cfg.LeakGrace)
	for pause := time.Millisecond; ; pause *= 2 {
		s.leaks = s.goroutines()
		left := time.Duration(end - s.now())
		if len(s.leaks) == 0 || left <= 0 {
			for _, mark := range s.marks {
				order.Stop(mark) // So that the bubble can end.
			}
			return
		}
		s.sleep(min(pause, left))
		s.settle()
	}
}

// goroutines returns the goroutines of all hosts of this simulation.
func (s *Sim) goroutines() []Leak {
	var profile bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&profile, 1); err != nil {
		return nil // A buffer does not fail.
	}
	run, _ := pprof.Label(s.labels, labelRun)
	var leaks []Leak
	for block := range strings.SplitSeq(profile.String(), "\n\n") {
		if l, ok := parseLeak(block, run); ok && !s.stopped[incarnationKey{l.Host, l.Incarnation}] && !s.mayStay(l) {
			leaks = append(leaks, l)
		}
	}
	slices.SortFunc(leaks, func(a, b Leak) int {
		return strings.Compare(fmt.Sprint(a.Host, a.Incarnation, a.Stack), fmt.Sprint(b.Host, b.Incarnation, b.Stack))
	})
	return leaks
}

// incarnationKey names an incarnation.
type incarnationKey struct {
	host   string
	number int
}

// mayStay says whether goroutines of that stack may outlive Close.
func (s *Sim) mayStay(l Leak) bool {
	for _, pattern := range s.cfg.MayStay {
		for line := range strings.Lines(l.Stack) {
			if glob.Match(pattern, strings.TrimSpace(line)) {
				return true
			}
		}
	}
	return false
}

// parseLeak reads one block of a goroutine profile:
//
//	2 @ 0x47d7ce 0x4172a9
//	# labels: {"sim":"1", "sim_host":"a", "sim_incarnation":"1"}
//	#	0x5e28a5	example.com/pkg.function+0x25	/path/file.go:12
func parseLeak(block, run string) (Leak, bool) {
	var (
		leak  Leak
		ours  bool
		stack strings.Builder
	)
	for lines := bufio.NewScanner(strings.NewReader(block)); lines.Scan(); {
		line := lines.Text()
		if count, _, ok := strings.Cut(line, " @ "); ok {
			leak.Count, _ = strconv.Atoi(strings.TrimSpace(count)) // Zero is no goroutine.
			continue
		}
		if text, ok := strings.CutPrefix(line, "# labels: "); ok {
			var labels map[string]string
			if json.Unmarshal([]byte(text), &labels) == nil && labels[labelRun] == run && labels[labelHost] != "" {
				ours = true
				leak.Host = labels[labelHost]
				leak.Incarnation, _ = strconv.Atoi(labels[labelIncarnation])
			}
			continue
		}
		if fields := strings.Split(line, "\t"); len(fields) >= 4 {
			name, _, _ := strings.Cut(fields[2], "+")
			fmt.Fprintf(&stack, "\t%s\n\t\t%s\n", name, fields[len(fields)-1]) // Tabs align them.
		}
	}
	leak.Stack = stack.String()
	return leak, ours && leak.Count > 0
}
