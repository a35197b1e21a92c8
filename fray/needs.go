package fray

import (
	"errors"
	"fmt"

	"github.com/frayrpc/fray/fray/internal/attempt"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/limit"
)

// needs is what a call depends on: the tasks and the objects that its input names, each once, in the order
// of the input.
type needs struct {
	tasks   []*call
	objects []string

	named map[need]bool // what is in the lists; nil: they are complete
	// inOrder says that the maps of the input are walked over in the order of their keys.
	inOrder bool
}

// need is the id of a task or of an object.
type need struct {
	object bool
	id     string
}

// add notes that a need was met, and reports whether that was the first time.
func (n *needs) add(id need) bool {
	if n.named[id] {
		return false
	}
	if n.named == nil {
		n.named = make(map[need]bool)
	}
	n.named[id] = true
	return true
}

// meetFuture implements visitor: the call depends on the task of a future in its input.
func (c *call) meetFuture(f *call) error {
	f.bind(c.jc)
	switch {
	case f.refusal() != nil:
		return fmt.Errorf("task %s (%s) was not accepted: %w", f.id, f.function.Name(), f.refusal())
	case f.jc.isLocal() && !c.jc.isLocal():
		return fmt.Errorf("task %s (%s) runs in this process, on a %s job context, and no controller knows it: get its value and pass that",
			f.id, f.function.Name(), f.jc.kind)
	}
	n := c.collect()
	if n.add(need{id: f.id}) {
		n.tasks = append(n.tasks, f)
	}
	if len(n.tasks) > limit.Needs {
		return fmt.Errorf("it needs more than %d tasks: have a task gather some of them", limit.Needs)
	}
	return nil
}

// meetRef implements visitor: the call depends on an object.
func (c *call) meetRef(id string) error {
	if id == "" {
		return errors.New("the ref is empty: it names no object")
	}
	n := c.collect()
	if n.add(need{object: true, id: id}) {
		n.objects = append(n.objects, id)
	}
	if len(n.objects) > limit.Needs {
		return fmt.Errorf("it needs more than %d objects: put some of them as one", limit.Needs)
	}
	return nil
}

func (c *call) collect() *needs {
	if c.needs == nil {
		c.needs = &needs{}
	}
	return c.needs
}

// again implements visitor.
func (c *call) again() bool {
	if c.needs == nil {
		return false
	}
	if c.needs.inOrder || len(c.needs.named) < 2 {
		c.needs.named = nil
		return false
	}
	c.needs = &needs{inOrder: true}
	return true
}

// ordered implements visitor.
func (c *call) ordered() bool { return c.needs != nil && c.needs.inOrder }

// taskIDs returns the ids of the tasks, in order.
func (n *needs) taskIDs() []string {
	if n == nil || len(n.tasks) == 0 {
		return nil
	}
	ids := make([]string, len(n.tasks))
	for i, f := range n.tasks {
		ids[i] = f.id
	}
	return ids
}

func (n *needs) objectIDs() []string {
	if n == nil {
		return nil
	}
	return n.objects
}

// values returns what the tasks ended with, which have all completed.
func (n *needs) values() attempt.Needed[Payload] {
	values := make(attempt.Needed[Payload], len(n.tasks))
	for _, f := range n.tasks {
		values[f.id], _, _ = f.result()
	}
	return values
}

// takeNeeds returns the tasks that c waits for, nil if there are none, and forgets what c needs: a future
// must not keep all futures before it in memory.
func (c *call) takeNeeds() *needs {
	n := c.needs
	c.needs = nil
	if n == nil || len(n.tasks) == 0 {
		return nil
	}
	return n
}

// failedFor is what c ends with because a task that it needs did not complete.
func (c *call) failedFor(f *call) error {
	info := TaskInfo{MaxAttempts: int(c.config.retries) + 1}
	_, _, err := f.result()
	if f.cascades.Load() && errors.Is(err, ErrCancelled) {
		c.cascades.Store(true)
		return newTaskError(c, ReasonCancelled, info, nil)
	}
	cause := f.id
	var ended *TaskError
	if errors.As(err, &ended) && ended.Cause != "" {
		cause = ended.Cause
	}
	e := newTaskError(c, ReasonDependencyFailed, info, &frayv1.TaskError{
		Message: fmt.Sprintf("task %s, which it needs, did not complete", cause), Type: "dependency failed",
	})
	e.Cause = cause
	return e
}
