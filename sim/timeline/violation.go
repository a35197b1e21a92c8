package timeline

import (
	"regexp"
	"strings"
	"time"

	"github.com/frayrpc/fray/sim/engine"
)

// violationData is what a run broke.
type violationData struct {
	At     time.Duration `json:"at"`
	Broken string        `json:"broken"`
	Claim  string        `json:"claim,omitempty"`
	// Task is an index into data.Tasks; below 0: it is about none.
	Task int `json:"task"`
	// Text says it; More is the rest of a long text.
	Text     string      `json:"text"`
	More     string      `json:"more,omitempty"`
	Proof    []proofData `json:"proof"`
	Expected bool        `json:"expected,omitempty"`
}

// proofData is an event that proves a violation.
type proofData struct {
	At   time.Duration `json:"at"`
	Host int           `json:"host"` // below 0: none
	Text string        `json:"text"`
}

// violation returns what broke, or nil.
func (b *builder) violation(r *engine.Result) *violationData {
	if r.Broken == "" && r.Text == "" {
		return nil
	}
	v := &violationData{At: r.Virtual, Broken: r.Broken, Task: -1, Expected: r.Expected}
	for _, o := range r.Oracles {
		if o.Oracle == r.Broken {
			v.Claim = o.Claim
		}
	}
	found := false
	for i := range r.Violations {
		if proof := &r.Violations[i]; proof.Oracle == r.Broken && !found {
			found = true
			b.prove(v, proof)
		}
	}
	if !found {
		v.Text, v.More, _ = strings.Cut(settled(r.Text), "\n")
	}
	return v
}

// prove takes over what an oracle found.
func (b *builder) prove(v *violationData, found *engine.Violation) {
	v.Text = found.Text
	if found.Undecided {
		v.Text = "undecided: " + v.Text
	}
	if found.Task != "" {
		v.Task = b.tasks.of(found.Task)
	}
	for i := range found.Events {
		e := &found.Events[i]
		// Without its number: what is seen at one instant is numbered in any order.
		text, host := e.Kind, -1
		if e.Host != "" {
			text += " host=" + e.Host
			host = b.hosts.of(e.Host)
		}
		if e.Text != "" {
			text += " " + e.Text
		}
		v.Proof = append(v.Proof, proofData{e.At, host, text})
		v.At = e.At
	}
}

// changing is what of a stack differs from one run of a seed to the next.
var changing = regexp.MustCompile(`0x[0-9a-f]+|(goroutine|bubble) [0-9]+`)

// settled makes a text that may have a stack in it one that is the same in each run.
func settled(text string) string {
	return changing.ReplaceAllStringFunc(text, func(found string) string {
		if kind, _, named := strings.Cut(found, " "); named {
			return kind
		}
		return "0x0"
	})
}
