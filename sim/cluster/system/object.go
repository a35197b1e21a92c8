package system

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/internal/chance"
	"github.com/frayrpc/fray/internal/sleep"
	"github.com/frayrpc/fray/sim/cluster"
	"github.com/frayrpc/fray/sim/engine"
	"github.com/frayrpc/fray/sim/scenario"
)

// brokenObjects is what a controller breaks that loses or changes what was put.
const brokenObjects = "objects-kept"

// sharedObjects is how many values tasks of a kind have in common; each has one more that is its own, in its
// job.
const sharedObjects = 3

// errObject says, as a task's failure, that an object is not what it must be.
var errObject = errors.New(brokenObjects)

// object has an attempt put values and read them again. It returns a ref, as the attempt's result, to one
// that nobody releases.
func (x *executor) object(ctx context.Context, info fray.TaskInfo, random *rand.Rand) ([]byte, error) {
	// See children.
	if err := x.pass(ctx, 0, random); err != nil {
		return nil, err
	}
	_, number, _ := strings.Cut(info.TaskID, ".") // Tasks of other jobs have the same.
	own, err := x.put(ctx, number)
	if err != nil {
		return nil, err
	}
	shared, err := x.put(ctx, fmt.Sprint("shared ", random.IntN(sharedObjects)))
	if err != nil {
		return nil, err
	}
	// Of two attempts at one time none releases what the other returns.
	if chance.New(x.seed, "release/"+info.TaskID, 0).IntN(2) == 0 {
		if err := own.Release(ctx); err != nil {
			return nil, err
		}
		own = shared
	}
	return json.Marshal(own)
}

// put puts a value, and reads it.
func (x *executor) put(ctx context.Context, name string) (fray.Ref[[]byte], error) {
	value := noise(int(x.kind.ObjectSize), chance.New(x.seed, "object/"+name, 0))
	ref, err := fray.Put(ctx, value)
	if err != nil {
		return ref, err
	}
	got, err := ref.Get(ctx)
	if ctx.Err() == nil && (err != nil || !bytes.Equal(got, value)) {
		return ref, fray.NonRetryable(fmt.Errorf("%w: %w: %d bytes of %d", errObject, errors.Join(err, ctx.Err()), len(got), len(value)))
	}
	return ref, err
}

// noise is randomBytes for many.
func noise(n int, random *rand.Rand) []byte {
	b := make([]byte, 0, n+8)
	for len(b) < n {
		b = binary.LittleEndian.AppendUint64(b, random.Uint64())
	}
	return b[:n]
}

// told takes in the value that a future told. There is a future for each submission of a task, and they
// count from 0.
func (c *submitter) told(ctx context.Context, k *cluster.TaskKind, task string, submission int, value []byte) {
	c.tally.tell(c.name, task, value)
	if k.ObjectSize == 0 {
		return
	}
	// All futures of a task are told at one instant, and ask for the same object. Of calls at one instant
	// that are equal in all they carry, which gets which answer is up to the machine; and after the answer
	// one future notes that the task has ended, which the others do not. So they take turns.
	random := chance.New(c.run.Seed(), "read/"+task, 0)
	turn := time.Duration(submission) * engine.Jitter
	if sleep.For(ctx, turn+1+time.Duration(random.Int64N(int64(engine.Jitter)))) != nil {
		return
	}
	var ref fray.Ref[[]byte]
	err := json.Unmarshal(value, &ref)
	if err == nil {
		_, err = ref.Get(ctx)
	}
	if err != nil && ctx.Err() == nil && !errors.Is(err, fray.ErrClosed) && !c.allowsLoss() {
		c.run.Flaw(scenario.VerdictInvariant, brokenObjects, fmt.Sprintf("task %s ended with an object that its client cannot read: %v", task, err))
	}
}

// failed takes in a failure that a future told.
func (c *submitter) failed(failure *fray.TaskError) {
	if failure == nil || c.allowsLoss() {
		return
	}
	for _, broken := range []string{brokenObjects, brokenNeeds, brokenEnvironment} {
		if strings.HasPrefix(failure.Message, broken) {
			c.run.Flaw(scenario.VerdictInvariant, broken, failure.Error())
		}
	}
}
