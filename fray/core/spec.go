package core

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math"
	"slices"
	"time"
)

// TaskNum is a task's number: from 1, in the order in which the scheduler took them. Records in the
// store are filed under it.
type TaskNum uint64

// Token names a lease or a session. Its upper 24 bits tell the controller's incarnation, so that
// one of an earlier incarnation is never mistaken for one of this.
type Token uint64

const tokenSeqBits = 40

// MaxIncarnation is the last that tokens have room for.
const MaxIncarnation = 1<<(64-tokenSeqBits) - 1

func firstToken(incarnation uint64) Token { return Token(incarnation << tokenSeqBits) }

// SameIncarnation says whether two tokens were given by the same controller incarnation.
func (t Token) SameIncarnation(u Token) bool { return t>>tokenSeqBits == u>>tokenSeqBits }

// Resource is an amount of one resource, such as 1500 of "cpu".
type Resource struct {
	Name   string
	Amount int64
}

// Label is a name and its value.
type Label struct{ Name, Value string }

// Shape is all that scheduling looks at in a task's spec. Tasks of equal shape share one inside the
// scheduler, so a queued task costs only what is its own.
type Shape struct {
	Function string
	// A life's MaxRetries is its MaxWorkerLosses, which is the budget for both; a call has neither resources nor
	// labels.
	Role Role
	// Sorted by name, names unique.
	Resources []Resource
	// Labels that the worker must carry. Sorted by name, names unique.
	Labels []Label
	// Higher first.
	Priority int32
	// Application failures and timeouts that are tried again.
	MaxRetries uint32
	// The delay before retry n (from 0) is min(BackoffCap, BackoffBase * BackoffFactor^n), less up
	// to BackoffJitter (0 to 1) of itself.
	BackoffBase, BackoffCap      time.Duration
	BackoffFactor, BackoffJitter float64
	// Worker deaths that are survived.
	MaxWorkerLosses uint32
	// 0: none.
	ExecutionTimeout, SchedulingTimeout time.Duration
	// Of a task of a gang, how many it has; 0: it is of none.
	Gang int
}

// The policy where a spec leaves it open.
const (
	DefaultMaxWorkerLosses = 3
	DefaultBackoffBase     = 100 * time.Millisecond
	DefaultBackoffFactor   = 2.0
	DefaultBackoffCap      = time.Minute
	DefaultBackoffJitter   = 0.2
)

// classKey encodes what decides which workers can run a task.
func (s *Shape) classKey(b []byte) []byte {
	b = appendString(b, s.Function)
	b = binary.AppendUvarint(b, uint64(len(s.Resources)))
	for _, r := range s.Resources {
		b = binary.AppendVarint(appendString(b, r.Name), r.Amount)
	}
	b = binary.AppendUvarint(b, uint64(len(s.Labels)))
	for _, l := range s.Labels {
		b = appendString(appendString(b, l.Name), l.Value)
	}
	return b
}

// policyKey encodes the rest.
func (s *Shape) policyKey(b []byte) []byte {
	b = append(b, byte(s.Role))
	b = binary.AppendVarint(b, int64(s.Gang))
	b = binary.AppendVarint(b, int64(s.Priority))
	b = binary.AppendUvarint(b, uint64(s.MaxRetries))
	b = binary.AppendUvarint(b, uint64(s.MaxWorkerLosses))
	for _, d := range []time.Duration{s.BackoffBase, s.BackoffCap, s.ExecutionTimeout, s.SchedulingTimeout} {
		b = binary.AppendVarint(b, int64(d))
	}
	b = binary.AppendUvarint(b, math.Float64bits(s.BackoffFactor))
	return binary.AppendUvarint(b, math.Float64bits(s.BackoffJitter))
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// Equal says whether two shapes are the same to the scheduler.
func (s *Shape) Equal(o *Shape) bool {
	return s == o || bytes.Equal(s.policyKey(s.classKey(nil)), o.policyKey(o.classKey(nil)))
}

// backoff is the delay before retry n, from 0, of the task with this number. Chance comes from
// hashing what the delay is for, so it depends on nothing else that happens.
func (s *Shape) backoff(seed uint64, task TaskNum, n uint32) time.Duration {
	if s.BackoffBase <= 0 {
		return 0 // Nothing times a power that overflowed is not a number.
	}
	d := float64(s.BackoffBase) * math.Pow(s.BackoffFactor, float64(n))
	d = min(d, float64(s.BackoffCap))
	d -= d * s.BackoffJitter * unit(mix(mix(seed, uint64(task)), uint64(n)))
	return time.Duration(max(d, 0))
}

// mix hashes two words into one (the finalizer of SplitMix64, Steele, Lea and Flood, OOPSLA 2014).
func mix(a, b uint64) uint64 {
	z := a ^ (b+1)*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// unit maps a hash to [0, 1).
func unit(h uint64) float64 { return float64(h>>11) / (1 << 53) }

// shape is an interned Shape.
type shape struct {
	Shape
	variant
	key string
	// That of the shape that it is a variant of; empty: it is none.
	base string
	// Of its open tasks; it may have been dropped once there were none.
	class *class
	refs  int
}

// variant is what a task has that takes another place in the queues than its Shape says.
type variant struct {
	// It runs alone: see alone.go.
	alone bool
	// It leads the open tasks of a gang, which are so many; 0: it does not.
	leads int
}

// appendKey appends a variant to what is a variant of. No other key goes on after that of a whole.
func (v variant) appendKey(b []byte) []byte {
	switch {
	case v.alone:
		return append(b, 0)
	case v.leads > 0:
		return binary.AppendVarint(append(b, 1), int64(v.leads))
	default:
		return b
	}
}

// reshape gives a task another variant of its shape. It is in no class's count.
func (c *Scheduler) reshape(t *task, v variant) {
	old := t.shape
	base := cmp.Or(old.base, old.key)
	key := string(v.appendKey([]byte(base)))
	sh := c.shapes[key]
	if sh == nil {
		sh = &shape{Shape: old.Shape, variant: v, key: key, base: base}
		c.shapes[key] = sh
	}
	sh.refs++
	from := t.kin
	t.kin = c.kinOf(t.job, sh)
	c.part(from)
}

// appendClassKey is classKey, which parts variants from others.
func (sh *shape) appendClassKey(b []byte) []byte { return sh.appendKey(sh.classKey(b)) }

// intern returns the shared copy of s and counts a reference to it.
func (c *Scheduler) intern(s *Shape) *shape {
	c.keyBuf = s.policyKey(s.classKey(c.keyBuf[:0]))
	if sh := c.shapes[string(c.keyBuf)]; sh != nil {
		sh.refs++
		return sh
	}
	sh := &shape{Shape: *s, key: string(c.keyBuf), refs: 1}
	sh.Resources, sh.Labels = slices.Clone(s.Resources), slices.Clone(s.Labels)
	c.shapes[sh.key] = sh
	return sh
}

// release drops a reference to a shape.
func (c *Scheduler) release(sh *shape) {
	if sh.refs--; sh.refs == 0 {
		delete(c.shapes, sh.key)
	}
}
