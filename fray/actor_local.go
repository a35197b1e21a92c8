package fray

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"runtime/debug"
	"slices"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/frayrpc/fray/fray/internal/actor"
	"github.com/frayrpc/fray/fray/internal/attempt"
	"github.com/frayrpc/fray/fray/internal/wire"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// roster knows the actors of a backend that runs them in this process: those that live, and the latest that
// are dead. The backend's mutex guards it, and the actors.
type roster struct {
	byID   map[string]*localActor
	byName map[string]*localActor // those that live
	dead   []*localActor          // oldest first, up to maxLedgerEnded
}

func newRoster() roster {
	return roster{byID: make(map[string]*localActor), byName: make(map[string]*localActor)}
}

// create implements backend.
func (l *localBackend) create(ctx context.Context, c *call) (string, error) {
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return "", ErrClosed
	}
	a, created, err := l.actors.admit(c)
	l.mu.Unlock()
	switch {
	case err != nil:
		return "", err
	case !created:
		return a.life.id, nil
	}
	if l.ledger.claim(c) {
		a.build(l.host)
		l.host.submit(ctx, []*call{a.building})
		if err = a.building.refusal(); err == nil {
			return c.id, nil
		}
		c.refuse(err)
	}
	l.host.kill(a, &deadActorError{"it was refused"}) // Others may have found it.
	l.mu.Lock()
	defer l.mu.Unlock()
	l.actors.remove(a)
	return "", c.refusal()
}

// findActor implements backend.
func (l *localBackend) findActor(ctx context.Context, name string) (id, class string, err error) {
	if ctx.Err() != nil {
		return "", "", ctx.Err()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return "", "", ErrClosed
	}
	return l.actors.find(name)
}

// deleteActor implements backend.
func (l *localBackend) deleteActor(ctx context.Context, id string) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	l.mu.Lock()
	a, closed := l.actors.byID[id], l.closed
	l.mu.Unlock()
	switch {
	case closed:
		return ErrClosed
	case a == nil:
		return ErrUnknownActor
	}
	l.host.kill(a, errActorDeleted)
	return nil
}

// localActor is an actor in this process, which has one incarnation.
type localActor struct {
	life *call
	spec [sha256.Size]byte // of what its creator asked for
	// building is the task that constructs it.
	building *call
	// instance is there once it is constructed; nil: it is not yet.
	instance *actor.Instance
	// dead says why it is; nil: it lives.
	dead error
	// line are the calls that wait for their turns, in order, and hand those that have theirs. Of those that
	// have left the line, some may still be in it.
	line, hand []*turn
	// ending says that the state is with who closes it, or was.
	ending bool
}

// turn is a call in the line of an actor.
type turn struct {
	call  *call
	actor *localActor
	ready bool   // it has all that it waits for but its turn
	grant func() // has it run; called with the backend's mutex held
	stage stage
}

// stage is where a turn stands.
type stage uint8

const (
	turnWaits stage = iota
	turnCame
	turnOver
)

// deadActorError is why calls of an actor fail that is dead.
type deadActorError struct{ why string }

func (e *deadActorError) Error() string { return ErrActorDead.Error() + ": " + e.why }

func (*deadActorError) Unwrap() error { return ErrActorDead }

var (
	errActorDeleted   = &deadActorError{"it was deleted"}
	errActorCancelled = &deadActorError{"it was cancelled"}
)

// actorDead is what a call ends with whose actor is dead, for a cause.
func (c *call) actorDead(info TaskInfo, cause error) error {
	if errors.Is(cause, ErrClosed) {
		return c.closed()
	}
	why := cause.Error()
	if e := (*deadActorError)(nil); errors.As(cause, &e) {
		why = e.why
	}
	return newTaskError(c, ReasonActorDead, info, &frayv1.TaskError{
		Message: fmt.Sprintf("actor %s: %s", c.actor, why), Type: "actor dead",
	})
}

// admit returns the actor whose life c is: a new one, which is to be built, or one that is there. It returns
// an error if that is another one.
func (r *roster) admit(c *call) (a *localActor, created bool, err error) {
	spec, err := proto.MarshalOptions{Deterministic: true}.Marshal(c.newSpec())
	if err != nil {
		return nil, false, err
	}
	sum := sha256.Sum256(spec)
	if a := r.byID[c.id]; a != nil {
		if a.spec != sum {
			return nil, false, refusal(connect.CodeAlreadyExists, "", fmt.Sprintf("actor %q exists with another specification: choose another task id", c.id))
		}
		return a, false, nil
	}
	name := c.life.name
	if a := r.byName[name]; a != nil && name != "" {
		if other := a.life; other.function.Name() != c.function.Name() || other.input.Encoding != c.input.Encoding || !bytes.Equal(other.input.Data, c.input.Data) {
			return nil, false, refusal(connect.CodeAlreadyExists, "", fmt.Sprintf(
				"actor %q, of id %s and class %s, exists with another class or input: choose another name, or delete it", name, other.id, other.function.Name()))
		}
		return a, false, nil
	}
	a = &localActor{life: c, spec: sum}
	r.byID[c.id] = a
	if name != "" {
		r.byName[name] = a
	}
	return a, true, nil
}

// remove undoes that an actor was admitted, which was then refused.
func (r *roster) remove(a *localActor) {
	if r.byID[a.life.id] == a {
		delete(r.byID, a.life.id)
	}
	r.free(a)
}

// free has the name of an actor be that of none.
func (r *roster) free(a *localActor) {
	if name := a.life.life.name; r.byName[name] == a {
		delete(r.byName, name)
	}
}

func (r *roster) find(name string) (id, class string, err error) {
	a := r.byName[name]
	if a == nil {
		return "", "", ErrUnknownActor
	}
	return a.life.id, a.life.function.Name(), nil
}

// kill has an actor be dead, unless it is. It returns the calls that are to be stopped for that: those that wait
// and those that run, in order. What constructs it is to be stopped, too.
func (r *roster) kill(a *localActor, cause error) (turns []*turn) {
	if a.dead != nil {
		return nil
	}
	a.dead = cause
	r.free(a)
	r.dead = append(r.dead, a)
	if len(r.dead) > maxLedgerEnded {
		if first := r.dead[0]; r.byID[first.life.id] == first {
			delete(r.byID, first.life.id)
		}
		r.dead[0] = nil
		r.dead = r.dead[1:]
	}
	turns = slices.Concat(a.hand, slices.DeleteFunc(a.line, func(t *turn) bool { return t.stage == turnOver }))
	a.line = nil
	return turns
}

// living returns the actors that live, by id.
func (r *roster) living() []*localActor {
	all := slices.DeleteFunc(slices.Collect(maps.Values(r.byID)), func(a *localActor) bool { return a.dead != nil })
	slices.SortFunc(all, func(x, y *localActor) int { return cmp.Compare(x.life.id, y.life.id) })
	return all
}

// join puts a call at the end of the line of its actor. It returns an error if the actor is not known, and
// none but the cause if it is dead.
func (r *roster) join(c *call, grant func()) (t *turn, cause, err error) {
	a := r.byID[c.actor]
	if a == nil {
		return nil, nil, fmt.Errorf("submit task %s: %w", c.id, refusal(connect.CodeNotFound, wire.ReasonUnknownActor,
			fmt.Sprintf("task %q: actor %q is none of this job context, or no longer", c.id, c.actor)))
	}
	if a.dead != nil {
		return nil, a.dead, nil
	}
	t = &turn{call: c, actor: a, grant: grant}
	a.line = append(a.line, t)
	return t, nil, nil
}

// advance gives turns to those who come first in the line, as long as they are ready and there is room.
func (a *localActor) advance() {
	for a.instance != nil && a.dead == nil && len(a.line) > 0 {
		t := a.line[0]
		if t.stage == turnWaits {
			if !t.ready || len(a.hand) >= int(a.life.life.concurrency) {
				return
			}
			t.stage = turnCame
			a.hand = append(a.hand, t)
		}
		a.line = a.line[1:]
		if t.stage == turnCame {
			t.grant()
		}
	}
}

// leave ends a turn, wherever it stands.
func (t *turn) leave() {
	a := t.actor
	if t.stage == turnCame {
		a.hand = slices.DeleteFunc(a.hand, func(other *turn) bool { return other == t })
	}
	t.stage = turnOver
	a.advance()
}

// host returns the context of an attempt of a call that has its turn.
func (t *turn) host(ctx context.Context) context.Context {
	return attempt.WithInfo(ctx, &actor.Call[Payload]{Instance: t.actor.instance})
}

// takeState returns the state of a dead actor that nothing runs on any longer, once; nil: there is none, or
// something does.
func (a *localActor) takeState() io.Closer {
	if a.dead == nil || a.instance == nil || len(a.hand) > 0 || a.ending {
		return nil
	}
	a.ending = true
	closer, _ := a.instance.State.(io.Closer) // nil: it need not be closed
	return closer
}

// closeState closes a state. It is told of nobody what comes of that.
func (a *localActor) closeState(state io.Closer) {
	failed := func(reason string, value any) {
		a.life.jc.logger.Warn("close the state of an actor", "actor_id", a.life.id, "class", a.life.function.Name(), reason, value)
	}
	defer func() {
		if v := recover(); v != nil {
			failed("panic", fmt.Sprintf("%v\n%s", v, debug.Stack()))
		}
	}()
	if err := state.Close(); err != nil {
		failed("error", err)
	}
}

// construction is the function of the task that constructs an actor.
type construction struct {
	Function

	actor *localActor
	host  actorHost
}

// Invoke implements Function.
func (k *construction) Invoke(ctx context.Context, input Payload) (Payload, error) {
	class, _ := k.Function.(ActorFunction) // Nothing else is created.
	state, err := class.Construct(ctx, input, nil)
	if err != nil {
		return Payload{}, err
	}
	n := k.actor.life.life.concurrency
	if _, ok := state.(Checkpointer); ok && n > 1 {
		return Payload{}, NonRetryable(errConcurrentCheckpoints(reflect.TypeOf(state)))
	}
	k.host.built(k.actor, actor.New(state, int(n)))
	return Payload{}, nil
}

// build makes the task that constructs an actor at a host. Without that, it ends with the actor dead.
func (a *localActor) build(host actorHost) {
	config := *a.life.config
	config.retries = *config.workerLosses
	c := &call{
		id: a.life.id, function: &construction{a.life.function, a, host}, config: &config,
		jc: a.life.jc, input: a.life.input, needs: a.life.needs,
	}
	a.building = c
	c.listen(&listener{wake: func() {
		switch _, _, err := c.result(); {
		case err == nil:
		case errors.Is(err, ErrClosed):
			host.kill(a, err)
		case errors.Is(err, ErrCancelled):
			host.kill(a, errActorCancelled)
		default:
			host.kill(a, &deadActorError{fmt.Sprintf("it could not be constructed: %v", err)})
		}
	}})
}
