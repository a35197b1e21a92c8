package fray

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/frayrpc/fray/fray/internal/actor"
	"github.com/frayrpc/fray/fray/internal/attempt"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// Each reason for which a task fails at a controller is one of this package, and has an error of its own.
func TestReasonsAreThoseOfTheWire(t *testing.T) {
	t.Parallel()
	seen := make(map[Reason]bool)
	var errs []error
	for n, name := range frayv1.FailureReason_name {
		wire := frayv1.FailureReason(n)
		if wire == frayv1.FailureReason_FAILURE_REASON_UNSPECIFIED {
			continue
		}
		reason, ok := failureReasons[wire]
		if !ok || seen[reason] {
			t.Errorf("%s is %q", name, reason)
		}
		seen[reason] = true
		is := (&TaskError{Reason: reason}).Unwrap()
		if reason == ReasonApplication {
			continue
		}
		if len(is) != 1 || slices.Contains(errs, is[0]) {
			t.Errorf("the errors of %q are %v", reason, is)
		}
		errs = append(errs, is...)
	}
	if len(seen) != len(failureReasons) {
		t.Errorf("there are reasons that the wire does not have: %v", failureReasons)
	}
}

// kept is a state with checkpoints, and bare one without.
type kept struct{ data []byte }

func (k *kept) Checkpoint() ([]byte, error) { return k.data, nil }

func (k *kept) Restore(data []byte) error {
	if string(data) == "torn" {
		return errors.New("it is torn")
	}
	k.data = data
	return nil
}

type bare struct{}

func TestConstructRestoresACheckpoint(t *testing.T) {
	t.Parallel()
	keeper := DefineActor("kept", func(_ context.Context, s string) (*kept, error) { return &kept{[]byte(s)}, nil })
	input := Payload{Encoding: "json", Data: []byte(`"new"`)}
	from := &Payload{Encoding: "raw", Data: []byte("old")}
	for want, from := range map[string]*Payload{"new": nil, "old": from, "": {Encoding: "raw"}} {
		state, err := keeper.Construct(t.Context(), input, from)
		if k, ok := state.(*kept); err != nil || !ok || string(k.data) != want {
			t.Errorf("got %+v, %v; want %q", state, err, want)
		}
	}
	state, err := keeper.Construct(t.Context(), input, from)
	if err != nil {
		t.Fatal(err)
	}
	state.(*kept).data[0] = 'x'
	if string(from.Data) != "old" {
		t.Error("the state has the payload's own bytes")
	}
	for name, err := range map[string]error{
		"restore from a checkpoint of 4 bytes: it is torn": second(keeper.Construct(t.Context(), input, &Payload{Encoding: "raw", Data: []byte("torn")})),
		"input of kept": second(keeper.Construct(t.Context(), Payload{Encoding: "json", Data: []byte("7")}, nil)),
		"a *fray.bare, is no fray.Checkpointer": second(DefineActor("bare", func(context.Context, int) (*bare, error) { return &bare{}, nil }).
			Construct(t.Context(), Payload{}, from)),
	} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, want %q", err, name)
		}
	}
}

func TestMethodIsInvokedByAHost(t *testing.T) {
	t.Parallel()
	class := DefineActor("kept", func(context.Context, int) (*kept, error) { return &kept{}, nil })
	method := DefineMethod(class, "append", func(_ context.Context, k *kept, s string) ([]byte, error) {
		k.data = append(k.data, s...)
		switch s {
		case "panic":
			panic("boom")
		case "error":
			return nil, errors.New("boom")
		}
		return k.data, nil
	})
	invoke := func(host *actor.Call[Payload], in string) (out Payload, err error) {
		data, _ := json.Marshal(in) // a string
		ctx := t.Context()
		if host != nil {
			ctx = attempt.WithInfo(ctx, host)
		}
		attempt.Run(ctx, attempt.Limits{}, func(ctx context.Context) (Payload, error) {
			return method.Invoke(ctx, Payload{Encoding: "json", Data: data})
		}, func(r attempt.Result[Payload]) { out, err = r.Value, r.Err })
		return out, err
	}
	i := actor.New(&kept{}, 1)
	for _, in := range []string{"panic", "error"} {
		host := &actor.Call[Payload]{Instance: i}
		if _, err := invoke(host, in); err == nil || host.Checkpoint != nil {
			t.Errorf("%s: %v, checkpoint %v", in, err, host.Checkpoint)
		}
	}
	host := &actor.Call[Payload]{Instance: i}
	out, err := invoke(host, "x")
	if err != nil || string(out.Data) != "panicerrorx" || host.Checkpoint == nil || host.Checkpoint.Encoding != "raw" || string(host.Checkpoint.Data) != "panicerrorx" {
		t.Errorf("got %s, %v, %+v", out.Data, err, host.Checkpoint)
	}
	i.State.(*kept).data[0] = 'X'
	if string(host.Checkpoint.Data) != "panicerrorx" || string(out.Data) != "panicerrorx" {
		t.Error("what a call leaves behind is part of the state")
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	if err := i.Enter(ctx); err != nil {
		t.Fatalf("a call has kept its place: %v", err)
	}
	busy := errors.New("busy")
	cancel(busy)
	if _, err := method.Invoke(attempt.WithInfo(ctx, host), Payload{}); !errors.Is(err, busy) {
		t.Errorf("got %v", err)
	}
	if _, err := invoke(nil, "x"); err == nil || !strings.Contains(err.Error(), "kept.append is a method and no task") {
		t.Errorf("got %v", err)
	}
	if _, err := invoke(&actor.Call[Payload]{Instance: actor.New(&bare{}, 1)}, "x"); err == nil || !strings.Contains(err.Error(), "its state is a *fray.bare") {
		t.Errorf("got %v", err)
	}
	if _, err := class.Invoke(t.Context(), Payload{}); err == nil || !strings.Contains(err.Error(), "kept is a class of actors") {
		t.Errorf("got %v", err)
	}
}

func TestDefinitionsThatAreRefused(t *testing.T) {
	t.Parallel()
	construct := func(context.Context, int) (*kept, error) { return nil, nil }          //nolint:nilnil // It is not called.
	call := func(context.Context, *kept, int) (int, error) { return 0, nil }            // Nor is this.
	class := DefineActor("class", construct, WithActorName("the-one"), WithPriority(3)) // as it should be
	for want, define := range map[string]func(){
		`fray.DefineActor("no name"): the name must be`:  func() { DefineActor("no name", construct) },
		"the constructor is nil":                         func() { DefineActor[*kept, int]("a", nil) },
		"input: type func() has no encoding":             func() { DefineActor("a", func(context.Context, func()) (*kept, error) { return nil, nil }) }, //nolint:nilnil // As above.
		"WithTaskID is for Create":                       func() { DefineActor("a", construct, WithTaskID("x")) },
		"*fray.kept has checkpoints":                     func() { DefineActor("a", construct, WithMaxConcurrency(2)) },
		"WithRetries is for tasks and calls":             func() { DefineActor("a", construct, WithRetries(1)) },
		`fray.DefineMethod("no name"): the name must be`: func() { DefineMethod(class, "no name", call) },
		"the function is nil":                            func() { DefineMethod[*kept, int, int, int](class, "m", nil) },
		"the class is nil":                               func() { DefineMethod((*ActorClass[*kept, int])(nil), "m", call) },
		"WithLimit is for tasks: an actor that holds":    func() { DefineActor("a", construct, WithLimit(NewLimit("x", MaxConcurrent(1)))) },
		"WithLimit is for tasks: how many calls":         func() { DefineMethod(class, "m", call, WithLimit(NewLimit("x", MaxConcurrent(1)))) },
		"WithPriority is no option of a call":            func() { DefineMethod(class, "m", call, WithPriority(1)) },
		"WithTaskID is for calls":                        func() { DefineMethod(class, "m", call, WithTaskID("x")) },
		"the name must be up to 256 letters":             func() { DefineMethod(class, strings.Repeat("m", 251), call) },
		"result: type func() has no encoding": func() {
			DefineMethod(class, "m", func(context.Context, *kept, int) (func(), error) { return nil, nil })
		}, //nolint:nilnil // As above.
		"WithResources is no option of a call, which is executed": func() { DefineMethod(class, "m", call, WithResources(map[string]int64{"cpu": 1})) },
	} {
		func() {
			defer func() {
				if text, _ := recover().(string); !strings.Contains(text, want) {
					t.Errorf("got %q, want %q", text, want)
				}
			}()
			define()
		}()
	}
	if c := class.config; c.life.name != "the-one" || c.call.priority != 3 || *c.call.workerLosses != defaultRestarts {
		t.Errorf("got %+v", c)
	}
}

func TestActorsOfOthersAreChecked(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{"actor":"a","class":"k","more":1}`: "", `null`: "", `{"actor":"/","class":"k"}`: `actor id "/"`, `{"actor":"a"}`: "the name must be", `7`: "decode an actor",
	} {
		var a *Actor[int]
		err := json.Unmarshal([]byte(text), &a)
		if (want == "") != (err == nil) || (err != nil && !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	v := struct {
		One   Actor[int]
		None  *Actor[int]
		Other *Actor[int]
	}{One: Actor[int]{"a", "k"}, Other: &Actor[int]{"b", "k"}}
	if text, err := json.Marshal(v); err != nil || string(text) != `{"One":{"actor":"a","class":"k"},"None":null,"Other":{"actor":"b","class":"k"}}` {
		t.Errorf("got %s, %v", text, err)
	}
	c, err := codecOf[Actor[int]]()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.encode(Actor[int]{}, nil); err == nil || !strings.Contains(err.Error(), "the actor is empty") {
		t.Errorf("got %v", err)
	}
}
