package controller

import (
	"bytes"
	"fmt"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/frayrpc/fray/fray/core"
	"github.com/frayrpc/fray/fray/internal/corewire"
	"github.com/frayrpc/fray/fray/internal/wire"
	"github.com/frayrpc/fray/fray/store"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/limit"
	"github.com/frayrpc/fray/internal/number"
)

const (
	// maxShapes bounds the shapes that a taskDecoder remembers.
	maxShapes = 1024
	// idBlock is how many bytes of ids are allocated at once: those of about as many tasks as the
	// scheduler keeps together.
	idBlock = 2048
)

// taskDecoder decodes the records of tasks, a million of them in little more time than it takes to
// read them: payloads are passed over, and the part of a spec that makes a task's shape is decoded
// once for all that have the same.
type taskDecoder struct {
	shapes map[string]*core.Shape
	task   core.Restored
	// Scratch: a spec without the task's id, its payload and what it needs; and that.
	rest  []byte
	named frayv1.TaskSpec
	// The block that ids are taken from, and the job of the last task.
	ids strings.Builder
	job string
}

// The fields that decode looks at. FuzzTaskDecoder holds it to what proto.Unmarshal makes of a
// record.
const (
	taskRecordSpec      protowire.Number = 1
	taskRecordJob       protowire.Number = 2
	taskRecordSubmitted protowire.Number = 3
	taskSpecID          protowire.Number = 1
	taskSpecPayload     protowire.Number = 3
	taskSpecTasks       protowire.Number = 11
	taskSpecObjects     protowire.Number = 12
	taskSpecNotBefore   protowire.Number = 13
	taskSpecActor       protowire.Number = 14
	taskSpecCall        protowire.Number = 15
	taskSpecLimits      protowire.Number = 16
	taskSpecSchedule    protowire.Number = 17
	taskSpecUnique      protowire.Number = 18
	taskSpecGang        protowire.Number = 19
	gangSpecSize        protowire.Number = 2
)

// decode returns the task of a record, valid until the next call. It keeps nothing of the record.
func (d *taskDecoder) decode(r stored) (*core.Restored, error) {
	d.task = core.Restored{Num: core.TaskNum(r.num), SpecBytes: len(r.value)}
	if err := d.record(r.value); err != nil {
		return nil, fmt.Errorf("%w: task number %d cannot be decoded: %w", store.ErrCorrupt, r.num, err)
	}
	return &d.task, nil
}

func (d *taskDecoder) record(value []byte) error {
	var spec, job []byte
	err := fields(value, func(f field) error {
		switch {
		case f.num == taskRecordSpec && f.kind == protowire.BytesType:
			spec = f.bytes
		case f.num == taskRecordJob && f.kind == protowire.BytesType:
			job = f.bytes
		case f.num == taskRecordSubmitted && f.kind == protowire.VarintType:
			var err error
			d.task.Submitted, err = number.Within("time of submission", f.varint, core.Time(0), core.Never)
			return err
		}
		return nil
	})
	if err != nil {
		return err
	}
	if d.job == "" || d.job != string(job) {
		d.job = string(job)
		if err := wire.CheckID("job_id", d.job); err != nil {
			return err
		}
	}
	d.task.Job = d.job
	if err := d.spec(spec); err != nil {
		return err
	}
	if d.task.Schedule != nil {
		d.task.Spec = bytes.Clone(value)
	}
	return nil
}

func (d *taskDecoder) spec(spec []byte) error {
	var id []byte
	d.rest = d.rest[:0]
	d.named.NeededTaskIds, d.named.NeededObjectIds, d.named.Actor, d.named.Call, d.named.Limits, d.named.Schedule, d.named.Unique, d.named.Gang = nil, nil, nil, nil, nil, nil, nil, nil
	var role protowire.Number
	err := fields(spec, func(f field) error {
		switch {
		case f.num == taskSpecID && f.kind == protowire.BytesType:
			id = f.bytes
		case f.num == taskSpecPayload && f.kind == protowire.BytesType:
			return fields(f.bytes, func(field) error { return nil })
		case f.num == taskSpecTasks && f.kind == protowire.BytesType:
			d.named.NeededTaskIds = append(d.named.NeededTaskIds, string(f.bytes))
		case f.num == taskSpecObjects && f.kind == protowire.BytesType:
			d.named.NeededObjectIds = append(d.named.NeededObjectIds, string(f.bytes))
		case f.num == taskSpecNotBefore && f.kind == protowire.VarintType:
			at, err := number.Within("not_before_unix_ms", f.varint, int64(0), limit.NotBefore)
			d.task.NotBefore = corewire.Time(at)
			return err
		case f.num == taskSpecLimits && f.kind == protowire.BytesType:
			l := &frayv1.Limit{}
			d.named.Limits = append(d.named.Limits, l)
			return proto.Unmarshal(f.bytes, l)
		case f.num == taskSpecActor && f.kind == protowire.BytesType:
			role = f.num
			return merge(&d.named.Actor, f.bytes)
		case f.num == taskSpecCall && f.kind == protowire.BytesType:
			role = f.num
			return merge(&d.named.Call, f.bytes)
		case f.num == taskSpecSchedule && f.kind == protowire.BytesType:
			role = f.num
			return merge(&d.named.Schedule, f.bytes)
		case f.num == taskSpecUnique && f.kind == protowire.BytesType:
			return merge(&d.named.Unique, f.bytes)
		case f.num == taskSpecGang && f.kind == protowire.BytesType:
			return merge(&d.named.Gang, f.bytes)
		default:
			d.rest = append(d.rest, f.whole...)
		}
		return nil
	})
	if err != nil {
		return err
	}
	d.task.ID = d.id(id)
	if err := wire.CheckID("task_id", d.task.ID); err != nil {
		return err
	}
	if err := wire.CheckNeeds(&d.named); err != nil {
		return err
	}
	if err := wire.CheckRole(&d.named); err != nil {
		return err
	}
	if err := wire.CheckUnique(&d.named); err != nil {
		return err
	}
	if err := wire.CheckGang(&d.named); err != nil {
		return err
	}
	if err := wire.CheckLimits(&d.named); err != nil {
		return err
	}
	d.task.Limits = corewire.Limits(d.named.GetLimits())
	d.task.Actor, d.task.ActorCall = corewire.Actor(&d.named)
	d.task.Schedule, d.task.Unique, d.task.Gang = corewire.Schedule(&d.named), corewire.Unique(&d.named), corewire.Gang(&d.named)
	if n := d.named.GetGang().GetSize(); n > 0 { // Its size is part of the shape.
		size := protowire.AppendVarint(protowire.AppendTag(nil, gangSpecSize, protowire.VarintType), uint64(n))
		d.rest = protowire.AppendBytes(protowire.AppendTag(d.rest, taskSpecGang, protowire.BytesType), size)
	}
	if role != 0 { // Which is part of the shape.
		d.rest = protowire.AppendBytes(protowire.AppendTag(d.rest, role, protowire.BytesType), nil)
	}
	d.task.NeedsTasks, d.task.NeedsObjects = d.named.GetNeededTaskIds(), corewire.Objects(d.named.GetNeededObjectIds())
	if d.task.Shape = d.shapes[string(d.rest)]; d.task.Shape != nil {
		return nil
	}
	s := &frayv1.TaskSpec{}
	if err := proto.Unmarshal(d.rest, s); err != nil {
		return err
	}
	s.TaskId, s.Actor, s.Call, s.Schedule, s.Gang = d.task.ID, d.named.Actor, d.named.Call, d.named.Schedule, d.named.Gang
	if err := wire.CheckSpec(s); err != nil {
		return err
	}
	if d.shapes == nil || len(d.shapes) >= maxShapes {
		d.shapes = make(map[string]*core.Shape)
	}
	d.task.Shape = corewire.Shape(s)
	d.shapes[string(d.rest)] = d.task.Shape
	return nil
}

// merge takes a field in whose value is a message. It may come in parts.
func merge[M any, P interface {
	*M
	proto.Message
}](into *P, b []byte) error {
	if *into == nil {
		*into = new(M)
	}
	return proto.UnmarshalOptions{Merge: true}.Unmarshal(b, *into)
}

// id copies an id to a block that it shares with its neighbours, which are likely to be forgotten
// along with it.
func (d *taskDecoder) id(b []byte) string {
	if d.ids.Cap()-d.ids.Len() < len(b) {
		d.ids = strings.Builder{} // The old block belongs to its ids.
		d.ids.Grow(max(idBlock, len(b)))
	}
	start := d.ids.Len()
	d.ids.Write(b)
	return d.ids.String()[start:]
}

// field is a field of an encoded message.
type field struct {
	num  protowire.Number
	kind protowire.Type
	// With its tag, and the value of a field that has a length.
	whole, bytes []byte
	varint       uint64
}

// fields calls f with each field of an encoded message until it returns an error.
func fields(b []byte, f func(field) error) error {
	for len(b) > 0 {
		num, kind, tag := protowire.ConsumeTag(b)
		if tag < 0 {
			return protowire.ParseError(tag)
		}
		n := protowire.ConsumeFieldValue(num, kind, b[tag:])
		if n < 0 {
			return protowire.ParseError(n)
		}
		x := field{num: num, kind: kind, whole: b[:tag+n]}
		switch kind {
		case protowire.BytesType:
			x.bytes, _ = protowire.ConsumeBytes(b[tag:])
		case protowire.VarintType:
			x.varint, _ = protowire.ConsumeVarint(b[tag:])
		}
		if err := f(x); err != nil {
			return err
		}
		b = b[tag+n:]
	}
	return nil
}
