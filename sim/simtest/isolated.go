package simtest

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/frayrpc/fray/sim"
	"github.com/frayrpc/fray/sim/engine"
	"github.com/frayrpc/fray/sim/engine/virtual"
	"github.com/frayrpc/fray/sim/scenario"
)

// pinsFlag names the file to which a process writes what chance decides.
const pinsFlag = "pins"

// A pin is a line of that file: a fault that begins, or a rule that acts.
type pin struct {
	Onset *engine.Onset `json:"onset,omitempty"`
	Rule  string        `json:"rule,omitempty"`
	Match uint64        `json:"match,omitempty"`
}

// listenForPins has a run write what chance decides, at once: it may break down. What cannot be
// written is left to chance.
func listenForPins(o *virtual.Options, w io.Writer) {
	write := func(p pin) {
		if line, err := json.Marshal(p); err == nil {
			_, _ = w.Write(append(line, '\n'))
		}
	}
	onFault, onEvent := o.OnFault, o.OnEvent
	o.OnFault = func(onset engine.Onset) {
		if onFault != nil {
			onFault(onset)
		}
		write(pin{Onset: &onset})
	}
	o.OnEvent = func(e sim.Event) {
		if onEvent != nil {
			onEvent(e)
		}
		if e.Kind == sim.EventFault {
			write(pin{Rule: e.Fault, Match: e.Match})
		}
	}
}

// isolated makes runs in processes of their own, which they may take down.
type isolated struct {
	executable, dir string
	seed            uint64
	// stall is how long nothing may happen in a run, and limit how long one may take, in real time.
	stall, limit time.Duration
}

// run is a [shrink.Runner].
func (i *isolated) run(ctx context.Context, s *scenario.Scenario, begun func(engine.Onset), acted func(string, uint64)) (*engine.Result, error) {
	text, err := s.Marshal()
	if err != nil {
		return nil, err
	}
	file, pins := filepath.Join(i.dir, "candidate.yaml"), filepath.Join(i.dir, "pins.jsonl")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return nil, fmt.Errorf("write what is to run: %w", err)
	}
	args := []string{
		"--scenario", file, "--seed", strconv.FormatUint(i.seed, 10), "--format", formatJSON, "--" + hereFlag, "--stall", i.stall.String(),
	}
	if begun != nil {
		args = append(args, "--"+pinsFlag, pins)
	}
	result, err := i.process(ctx, s.Metadata.Name, args)
	if err == nil && begun != nil {
		err = readPins(pins, begun, acted)
	}
	return result, err
}

// process makes a run of the scenario of a name, and returns its result, or that of its breaking down.
func (i *isolated) process(ctx context.Context, name string, args []string) (*engine.Result, error) {
	bounded, cancel := context.WithTimeout(ctx, i.limit)
	defer cancel()
	cmd := exec.CommandContext(bounded, i.executable, args...) // It is this program.
	var stdout bytes.Buffer
	var stderr tail
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.WaitDelay = endWait
	err := cmd.Run()
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case bounded.Err() != nil:
		return nil, fmt.Errorf("the run took longer than %v of real time", i.limit)
	}
	result := new(engine.Result)
	if decodeErr := json.Unmarshal(stdout.Bytes(), result); decodeErr == nil {
		return result, nil
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == exitInvalid {
		return nil, fmt.Errorf("run: %s", bytes.TrimSpace(stderr.text()))
	}
	return brokenDown(name, i.seed, &breakdownError{i.seed, cmp.Or(err, errors.New("it ended too early")), stderr}), nil
}

// readPins tells of what chance decided in a run, as its process wrote it down. The last line may be
// cut off.
func readPins(path string, begun func(engine.Onset), acted func(string, uint64)) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read what chance decided: %w", err)
	}
	for line := range slices.Values(bytes.Split(text, []byte("\n"))) {
		var p pin
		if json.Unmarshal(line, &p) != nil {
			continue
		}
		if p.Onset != nil {
			begun(*p.Onset)
		} else {
			acted(p.Rule, p.Match)
		}
	}
	return nil
}
