package fray

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/frayrpc/fray/fray/internal/attempt"
)

// travelled is what there is of a future besides its call whose task was not submitted with it: it came
// along in a value, or was made of an id.
type travelled struct {
	mu    sync.Mutex
	bound bool // to a job context, which knows its task or can ask for it
	asked bool // that does so
}

// travelledConfig is the config of all calls that have travelled.
var travelledConfig callConfig

// elsewhere is the function of a task that was submitted elsewhere: it is not known.
type elsewhere struct{}

// Name implements Function.
func (elsewhere) Name() string { return "function unknown" }

// Invoke implements Function.
func (elsewhere) Invoke(context.Context, Payload) (Payload, error) {
	return Payload{}, errors.New("the function of this task is called elsewhere")
}

// futureJSON is a future as it travels. There is nothing in it but what makes it that of its task, so that the
// same input is the same, however its futures were come by.
type futureJSON struct {
	Task string `json:"task"`
}

// MarshalJSON has the future travel: in the input of a task, which thereby depends on the future's task, see
// [Define], or in a result. It implements json.Marshaler.
func (f *Future[Out]) MarshalJSON() ([]byte, error) {
	switch {
	case f == nil:
		return []byte("null"), nil
	case f.id == "":
		return nil, errors.New("the future is empty: it is of no task")
	}
	f.share()
	return json.Marshal(futureJSON{f.id})
}

// UnmarshalJSON makes an empty future that of the task that data names. Futures in the inputs and results of
// tasks are at home in a job context from then on; others, in that of the context that is first given to
// one of their methods, or to [Wait] or [AsCompleted]. Their task is asked for when they are first used. It
// implements json.Unmarshaler.
func (f *Future[Out]) UnmarshalJSON(data []byte) error {
	if f == nil || f.id != "" {
		return errors.New("decode a future: it is not decoded into an empty one")
	}
	if string(data) == "null" {
		return nil
	}
	var from futureJSON
	if err := json.Unmarshal(data, &from); err != nil {
		return fmt.Errorf("decode a future: %w", err)
	}
	return f.become(from.Task)
}

// become makes f, which is empty, the future of a task that was submitted elsewhere.
func (f *Future[Out]) become(id string) (err error) {
	if err := checkID("task id", id); err != nil {
		return err
	}
	if f.result, err = codecOf[Out](); err != nil {
		return err
	}
	f.id, f.function, f.config, f.travelled = id, elsewhere{}, &travelledConfig, &travelled{}
	return nil
}

// Attach returns a future of a task that was submitted elsewhere, or earlier, by its id. Out must be the
// type of its result. The task is asked for when the future is first used: if it is not known, the future
// ends with [ReasonTaskLost] then.
//
// The fray backend knows the tasks of its controller. The local backends know their own, as far as their
// ids were chosen, by [WithTaskID], or asked for: open ones, and the latest that have ended.
//
// Attach returns an error if ctx carries no job context, taskID is no id, or Out has no encoding.
func Attach[Out any](ctx context.Context, taskID string) (*Future[Out], error) {
	jc, err := FromContext(ctx)
	if err != nil {
		return nil, fmt.Errorf("attach to task %.140s: %w", taskID, err)
	}
	f := &Future[Out]{}
	if err := f.become(taskID); err != nil {
		return nil, fmt.Errorf("attach to a task: %w", err)
	}
	f.bind(jc)
	return f, nil
}

// bind has the task of a future that has travelled be asked for at a job context, unless it is bound.
func (c *call) bind(jc *JobContext) {
	if c.travelled == nil {
		return
	}
	c.travelled.mu.Lock()
	defer c.travelled.mu.Unlock()
	if !c.travelled.bound {
		c.travelled.bound, c.jc = true, jc
	}
}

// bindFrom is bind with the job context of ctx, if there is one. It says whether c is bound.
func (c *call) bindFrom(ctx context.Context) error {
	if c.travelled == nil {
		return nil
	}
	jc, err := FromContext(ctx)
	if err == nil {
		c.bind(jc)
		return nil
	}
	c.travelled.mu.Lock()
	defer c.travelled.mu.Unlock()
	if c.travelled.bound {
		return nil
	}
	return err
}

// find has the job context find out how the task of a future that has travelled ends, once it is bound.
func (c *call) find() {
	if c.travelled == nil {
		return
	}
	c.travelled.mu.Lock()
	first := c.travelled.bound && !c.travelled.asked
	c.travelled.asked = c.travelled.asked || first
	c.travelled.mu.Unlock()
	if first {
		c.jc.backend.find(c)
	}
}

// give is find where the value came along.
func (c *call) give(value Payload) {
	c.travelled.mu.Lock()
	first := !c.travelled.asked
	c.travelled.asked = true
	c.travelled.mu.Unlock()
	if first {
		c.settle(value, nil)
	}
}

// share has the job context of a local backend know the task by its id.
func (c *call) share() {
	if c.travelled == nil && c.jc != nil && c.jc.isLocal() {
		c.jc.backend.share(c)
	}
}

// binder binds the futures in a value that was decoded. It is a visitor.
type binder struct {
	jc     *JobContext
	values attempt.Needed[Payload] // that came along
}

func (b *binder) meetFuture(f *call) error {
	f.bind(b.jc)
	if value, ok := b.values[f.id]; ok && f.travelled != nil {
		f.give(value)
	}
	return nil
}

func (*binder) meetRef(string) error { return nil }
func (*binder) again() bool          { return false }
func (*binder) ordered() bool        { return false }
