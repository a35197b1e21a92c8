package simtest

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/frayrpc/fray/sim/engine"
	"github.com/frayrpc/fray/sim/scenario"
)

const (
	// ChunkSeeds is how many seeds a process of a sweep runs: bubbles of one process do not run in
	// parallel, and what they leave behind does not pile up.
	ChunkSeeds = 20
	// chunksAhead bounds how far processes get ahead of one that takes long, for results are passed
	// on in the order of the seeds.
	chunksAhead = 256
	// endWait is how long a process that is told to end may take.
	endWait = 2 * time.Second
)

// A crew is the processes of a sweep. Each runs this program with a few seeds, and writes a line of
// JSON for each result.
type crew struct {
	executable string
	subject    *subject
	seeds      scenario.Seeds
	stall      time.Duration // of --stall
	verify     bool          // each seed
	reach      bool          // results tell which points runs came to
	jobs       int           // how many processes run at the same time, at least 1
}

// A chunk is the seeds of one process, and what comes of them; results has room for all.
type chunk struct {
	seeds   scenario.Seeds
	results chan *engine.Result
}

// results runs the seeds and yields their results in the order of the seeds, all but those that ctx
// keeps from running. When it returns, all processes have ended.
func (c *crew) results(ctx context.Context) iter.Seq[*engine.Result] {
	return func(yield func(*engine.Result) bool) {
		ctx, cancel := context.WithCancel(ctx)
		var owned sync.WaitGroup
		defer owned.Wait()
		defer cancel()
		dealt, order := make(chan *chunk), make(chan *chunk, chunksAhead)
		owned.Go(func() { c.deal(ctx, dealt, order) })
		for range min(c.jobs, maxJobs) {
			owned.Go(func() {
				for part := range dealt {
					c.run(ctx, part)
				}
			})
		}
		for part := range order {
			for result := range part.results {
				if !yield(result) {
					return
				}
			}
		}
	}
}

// deal gives out the seeds, a chunk at a time, to whoever takes it; order has the chunks as they
// come.
func (c *crew) deal(ctx context.Context, dealt, order chan<- *chunk) {
	defer close(order)
	defer close(dealt)
	for first := c.seeds.First; ; first += ChunkSeeds {
		last := first + min(ChunkSeeds-1, c.seeds.Last-first)
		part := &chunk{scenario.Seeds{First: first, Last: last}, make(chan *engine.Result, ChunkSeeds)}
		select {
		case order <- part:
		case <-ctx.Done():
			return
		}
		select {
		case dealt <- part:
		case <-ctx.Done():
			close(part.results)
			return
		}
		if last == c.seeds.Last {
			return
		}
	}
}

// run runs a chunk. A seed at which the process breaks down is an error of the harness; those
// behind it get another process.
func (c *crew) run(ctx context.Context, part *chunk) {
	defer close(part.results)
	for done := uint64(0); done < part.seeds.Count(); {
		rest := scenario.Seeds{First: part.seeds.First + done, Last: part.seeds.Last}
		ran, err := c.process(ctx, rest, part.results)
		done += ran
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			part.results <- brokenDown(c.subject.nameOf(rest.First+ran), rest.First+ran, err)
			done++
		}
	}
}

// process runs seeds in a process of their own, passes their results on, and returns how many there
// were. The error says why there are no more of them.
func (c *crew) process(ctx context.Context, seeds scenario.Seeds, results chan<- *engine.Result) (ran uint64, err error) {
	args := append(slices.Clone(c.subject.Args), "--seeds", seeds.String(), "--format", formatJSON, "--"+hereFlag, "--stall", c.stall.String(),
		"--verify="+strconv.FormatBool(c.verify), "--"+reachFlag+"="+strconv.FormatBool(c.reach))
	cmd := exec.CommandContext(ctx, c.executable, args...) // It is this program.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = endWait
	var stderr tail
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	decoder := json.NewDecoder(stdout)
	var decodeErr error
	stalled := false
	for ran < seeds.Count() {
		result := new(engine.Result)
		if decodeErr = decoder.Decode(result); decodeErr != nil {
			break
		}
		results <- result
		ran++
		if stalled = result.Verdict == scenario.VerdictStalled; stalled {
			break // With which its process ends.
		}
	}
	_, _ = io.Copy(io.Discard, stdout) // so that it can end
	waitErr := cmd.Wait()
	if stalled || ran == seeds.Count() {
		return ran, nil
	}
	if errors.Is(decodeErr, io.EOF) {
		decodeErr = nil // Which it is no longer there to say.
	}
	err = cmp.Or(errors.Join(waitErr, decodeErr), errors.New("it ended too early"))
	return ran, &breakdownError{seeds.First + ran, err, stderr}
}

// A breakdownError is the end of a process in the midst of a seed.
type breakdownError struct {
	seed   uint64
	err    error
	stderr tail
}

// Error implements error.
func (e *breakdownError) Error() string {
	return fmt.Sprintf("process of seed %d: %v\n%s", e.seed, e.err, bytes.TrimSpace(e.stderr.text()))
}

// brokenDown is the result of a seed that says nothing about the system, unless it is that a
// goroutine panicked.
func brokenDown(name string, seed uint64, err error) *engine.Result {
	r := &engine.Result{Scenario: name, Seed: seed, Verdict: scenario.VerdictHarness, Text: err.Error()}
	var broken *breakdownError
	if errors.As(err, &broken) && broken.stderr.crashed() {
		r.Verdict, r.Broken = scenario.VerdictInvariant, engine.BrokenPanic
	}
	return r
}

// tail keeps the beginning and the end of what is written to it: a crash says first what it is
// about.
type tail struct{ head, kept []byte }

// maxTail is how much of each, in bytes.
const maxTail = 8 << 10

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	n := len(p)
	more := min(n, maxTail-len(t.head))
	t.head, p = append(t.head, p[:more]...), p[more:]
	t.kept = append(t.kept, p...)
	t.kept = t.kept[max(0, len(t.kept)-maxTail):]
	return n, nil
}

// text is what was kept.
func (t *tail) text() []byte { return slices.Concat(t.head, t.kept) }

var crash = regexp.MustCompile(`(?m)^(panic|fatal error): `)

// crashed says whether it is what package runtime writes when it ends a process.
func (t *tail) crashed() bool {
	return crash.Match(t.text()) && bytes.Contains(t.text(), []byte("\ngoroutine "))
}
