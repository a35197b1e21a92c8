package storecopy_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"github.com/frayrpc/fray/fray/controller"
	"github.com/frayrpc/fray/fray/store"
	"github.com/frayrpc/fray/fray/store/pebblestore"
	"github.com/frayrpc/fray/fray/store/storecopy"
	storev1 "github.com/frayrpc/fray/gen/fray/store/v1"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.server != nil {
		if err := shared.server.Remove(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// records are those of a store.
type records map[store.Key]string

// withController adds the record of a controller that has started so often.
func (r records) withController(incarnation uint64) records {
	value, err := proto.Marshal(&storev1.ControllerRecord{Incarnation: incarnation, TokenKey: make([]byte, 32)})
	if err != nil {
		panic(err)
	}
	r[store.ControllerKey] = string(value)
	return r
}

// some are records that a controller starts on, in several batches.
func some() records {
	r := records{}
	set := func(kind store.RecordKind, num uint64, m proto.Message) {
		value, err := proto.Marshal(m)
		if err != nil {
			panic(err)
		}
		r[store.Key{Kind: kind, Num: num}] = string(value)
	}
	for n := range uint64(20) {
		set(store.Spec, 1+n, &storev1.TaskRecord{JobId: "job", Spec: &frayv1.TaskSpec{TaskId: fmt.Sprint(n), Function: "f"}})
		set(store.State, 1+n, &storev1.TaskStateRecord{Status: frayv1.TaskStatus_TASK_STATUS_PENDING})
		for _, kind := range []store.RecordKind{store.Result, store.Piece, store.Checkpoint} { // Of what there is no task: nobody looks.
			r[store.Key{Kind: kind, Num: 1000 + n<<50}] = fmt.Sprint(n)
		}
	}
	for n := range uint64(3) {
		r[store.Key{Kind: store.Piece, Num: n}] = strings.Repeat(string('a'+rune(n)), large)
	}
	set(store.Job, 1, &storev1.JobRecord{JobId: "job"})
	return r.withController(7)
}

// large is a size of which two make a batch.
const large = 3 << 20

// fill commits records to a store.
func (r records) fill(t *testing.T, s store.Store) {
	t.Helper()
	var b store.Batch
	for k, v := range r {
		b.Set(k, []byte(v))
	}
	if err := s.Commit(&b); err != nil {
		t.Fatal(err)
	}
}

// of returns all records of a store.
func of(t *testing.T, s store.Store) records {
	t.Helper()
	r := records{}
	for kind := range store.Kinds() {
		err := s.Scan(kind, 0, func(num uint64, value []byte) error {
			r[store.Key{Kind: kind, Num: num}] = string(value)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func wantRecords(t *testing.T, s store.Store, want records) {
	t.Helper()
	got := of(t, s)
	if maps.Equal(got, want) {
		return
	}
	for k := range want {
		if _, ok := got[k]; !ok {
			t.Errorf("%v %d is missing", k.Kind, k.Num)
		} else if got[k] != want[k] {
			t.Errorf("%v %d has %d bytes that are not the %d that were copied", k.Kind, k.Num, len(got[k]), len(want[k]))
		}
	}
	for k := range got {
		if _, ok := want[k]; !ok {
			t.Errorf("%v %d was not copied, and is there", k.Kind, k.Num)
		}
	}
}

// lasting is a store in memory that counts as one that lasts.
type lasting struct{ store.Store }

func (lasting) Durability() store.Durability { return store.Sync }

func newLasting() lasting { return lasting{store.NewMemory()} }

func filled(t *testing.T, r records) store.Store {
	t.Helper()
	s := newLasting()
	r.fill(t, s)
	return s
}

// from returns a source that must be one.
func from(t *testing.T, s store.Store) *storecopy.Source {
	t.Helper()
	source, err := storecopy.From("there", s)
	if err != nil {
		t.Fatal(err)
	}
	return source
}

// copied copies all records, and reports of it.
func copied(t *testing.T, source, to store.Store) *storecopy.Report {
	t.Helper()
	report, err := from(t, source).To(t.Context(), to, nil)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// runOn has a controller start on a store, and returns why it ended, or nil if it did not of itself.
func runOn(t *testing.T, s store.Store) error {
	t.Helper()
	c, err := controller.New(controller.Config{Store: s})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	select {
	case err := <-ended:
		return err
	case <-c.Ready():
		cancel()
		return <-ended
	}
}

// wantUnfinished checks that nobody takes an unfinished copy for a whole one.
func wantUnfinished(t *testing.T, s store.Store) {
	t.Helper()
	if err := runOn(t, s); !errors.Is(err, store.ErrUnfinished) {
		t.Errorf("a controller on an unfinished copy: %v", err)
	}
	if _, err := storecopy.From("here", s); !errors.Is(err, store.ErrUnfinished) {
		t.Errorf("a copy of an unfinished copy: %v", err)
	}
	for d, err := range controller.DumpTasks(s) {
		if d != nil || !errors.Is(err, store.ErrUnfinished) {
			t.Errorf("a dump of an unfinished copy has %v, %v", d, err)
		}
	}
}

// engines are those that a copy can be made to without a server.
var engines = map[string]func(t *testing.T) store.Store{
	"memory": func(*testing.T) store.Store { return newLasting() },
	"pebble": func(t *testing.T) store.Store {
		t.Helper()
		return openPebble(t, vfs.NewMem())
	},
}

func openPebble(t *testing.T, fs vfs.FS) store.Store {
	t.Helper()
	s, err := pebblestore.Open(pebblestore.Config{Dir: "data", FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// names are those of engines, in their order.
func names() []string { return slices.Sorted(maps.Keys(engines)) }
