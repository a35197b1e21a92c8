package controller

import (
	"errors"

	"google.golang.org/protobuf/proto"

	"github.com/frayrpc/fray/fray/core"
	"github.com/frayrpc/fray/fray/internal/wire"
	"github.com/frayrpc/fray/fray/store"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// leasedTask reads a task's spec and job, without an attempt.
func (c *Controller) leasedTask(num core.TaskNum) (*frayv1.LeasedTask, error) {
	record, err := c.cfg.Store.Get(store.Key{Kind: store.Spec, Num: uint64(num)})
	if err != nil {
		return nil, err
	}
	t := &frayv1.LeasedTask{}
	if err := proto.Unmarshal(record, t); err != nil {
		return nil, err
	}
	return t, nil
}

// result reads a task's encoded TaskResult, which has only its value or error; empty where the task ended with neither.
// One that was collected in the meantime is an unknown task.
func (c *Controller) result(num core.TaskNum) ([]byte, error) {
	record, err := c.cfg.Store.Get(store.Key{Kind: store.Result, Num: uint64(num)})
	switch {
	case err == nil:
		return record, nil
	case errors.Is(err, store.ErrNotFound):
		return nil, nil
	default:
		c.cfg.Logger.Error("read result", "error", err)
		return nil, wire.Error(wire.ReasonShuttingDown, 0, "the controller cannot read its store now: try again")
	}
}

// resultRecord encodes what a report says for the store.
func resultRecord(r *frayv1.TaskReport) ([]byte, error) {
	if r.GetValue() == nil && r.GetError() == nil {
		return nil, nil
	}
	return proto.Marshal(&frayv1.TaskResult{Value: r.GetValue(), Error: r.GetError()})
}
