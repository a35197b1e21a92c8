package fray_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing/iotest"

	"github.com/frayrpc/fray/fray"
)

// The tasks of the tests about objects.
var (
	lengthOf = fray.Define("length-of", func(ctx context.Context, r fray.Ref[[]byte]) (int, error) {
		v, err := r.Get(ctx)
		return len(v), err
	})
	// digest reads a value without having it in memory, and puts what it makes of it.
	digest = fray.Define("digest", func(ctx context.Context, r fray.Ref[[]byte]) (fray.Ref[string], error) {
		body, err := r.Open(ctx)
		if err != nil {
			return fray.Ref[string]{}, err
		}
		defer body.Close()
		h := sha256.New()
		if _, err := io.Copy(h, body); err != nil {
			return fray.Ref[string]{}, err
		}
		return fray.Put(ctx, fmt.Sprintf("%x", h.Sum(nil)))
	})
	joined = fray.Define("joined", func(ctx context.Context, refs []fray.Ref[string]) (string, error) {
		var all []string
		for _, r := range refs {
			s, err := r.Get(ctx)
			if err != nil {
				return "", err
			}
			all = append(all, s)
		}
		return strings.Join(all, " "), nil
	})
)

// noise is n bytes that no one else has.
func noise(n int) []byte {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(uint64(n), 1))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

var objectTests = []conformanceTest{
	{name: "what is put comes back", run: func(t *trial) {
		r := putting(t, document{Name: "d", Raw: []byte{1, 2}})
		if v, err := r.Get(t.ctx); err != nil || v.Name != "d" || v.Raw[1] != 2 {
			t.Errorf("got %+v, %v", v, err)
		}
		if r.Job != t.jc.JobID() || r.Encoding != "json" || r.Size == 0 || len(r.ID) != 64 {
			t.Errorf("ref %+v", r)
		}
	}},
	{name: "objects of all sizes come back", run: func(t *trial) {
		const piece = 512 << 10
		for _, n := range []int{0, 1, piece - 1, piece, piece + 1, 3*piece + 7} {
			want := noise(n)
			r := putting(t, want)
			v, err := r.Get(t.ctx)
			if err != nil || !bytes.Equal(v, want) || r.Size != int64(n) {
				t.Errorf("%d bytes: got %d, %v; %+v", n, len(v), err, r)
			}
		}
	}},
	{name: "equal objects are one", run: func(t *trial) {
		a, b := putting(t, noise(3<<20)), putting(t, noise(3<<20))
		streamed, err := fray.PutReader(t.ctx, iotest.OneByteReader(bytes.NewReader(noise(3<<20))))
		if a != b || a != streamed || err != nil {
			t.Errorf("%v, %v and %v, %v", a, b, streamed, err)
		}
		if other := putting(t, "x"); other.ID == putting(t, []byte(`"x"`)).ID {
			t.Errorf("values of two encodings are one object")
		}
	}},
	{name: "a task reads a ref in its input", run: func(t *trial) {
		got(t, lengthOf, putting(t, noise(1<<20)), 1<<20)
	}},
	{name: "a task puts what its client reads", run: func(t *trial) {
		data := noise(2 << 20)
		r, err := digest.Call(t.ctx, putting(t, data))
		if err != nil {
			t.Fatal(err)
		}
		if v, err := r.Get(t.ctx); err != nil || v != fmt.Sprintf("%x", sha256.Sum256(data)) || r.Job != t.jc.JobID() {
			t.Errorf("got %q, %v of job %s", v, err, r.Job)
		}
	}},
	{name: "many tasks read many refs", run: func(t *trial) {
		var refs []fray.Ref[string]
		var want []string
		for i := range 20 {
			want = append(want, fmt.Sprint("value ", i))
			refs = append(refs, putting(t, want[i]))
		}
		var inputs [][]fray.Ref[string]
		for range 20 {
			inputs = append(inputs, refs)
		}
		futures, err := joined.RunAll(t.ctx, inputs)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range futures {
			if v, err := f.Get(t.ctx); err != nil || v != strings.Join(want, " ") {
				t.Errorf("got %q, %v", v, err)
			}
		}
	}},
	{name: "a ref is plain data", run: func(t *trial) {
		r := putting(t, "kept in a file")
		text, err := json.Marshal(r)
		var again fray.Ref[string]
		if err := errors.Join(err, json.Unmarshal(text, &again)); err != nil || again != r {
			t.Fatalf("%s is %+v, %v", text, again, err)
		}
		if v, err := again.Get(t.ctx); err != nil || v != "kept in a file" {
			t.Errorf("got %q, %v", v, err)
		}
	}},
	{name: "what is released is gone", run: func(t *trial) {
		r := putting(t, noise(700<<10))
		if err := r.Release(t.ctx); err != nil {
			t.Error(err)
		}
		if _, err := r.Get(t.ctx); !errors.Is(err, fray.ErrObjectLost) || !strings.Contains(err.Error(), r.ID[:12]) {
			t.Errorf("got %v", err)
		}
		if _, err := lengthOf.Run(t.ctx, r); !errors.Is(err, fray.ErrObjectLost) || !strings.Contains(err.Error(), "it needs object "+r.ID) {
			t.Errorf("a task with what is released: %v", err)
		}
		if err := r.Release(t.ctx); err != nil {
			t.Errorf("released twice: %v", err)
		}
		if again := putting(t, noise(700<<10)); again != r {
			t.Errorf("put again: %v", again)
		}
		got(t, lengthOf, r, 700<<10)
	}},
	{name: "a ref of another value is refused", run: func(t *trial) {
		r := putting(t, noise(600<<10))
		other := r
		other.Size--
		if _, err := other.Get(t.ctx); err == nil || !strings.Contains(err.Error(), "another value") {
			t.Errorf("of another size: %v", err)
		}
		wrong := fray.Ref[string](r)
		if _, err := wrong.Get(t.ctx); !errors.Is(err, fray.ErrUndecodable) {
			t.Errorf("of another type: %v", err)
		}
		unknown := r
		unknown.ID = strings.Repeat("ab", 32)
		if _, err := unknown.Get(t.ctx); !errors.Is(err, fray.ErrObjectLost) {
			t.Errorf("of nothing: %v", err)
		}
		if _, err := (fray.Ref[string]{}).Get(t.ctx); !errors.Is(err, fray.ErrObjectLost) {
			t.Errorf("an empty one: %v", err)
		}
	}},
	{name: "a source that fails puts nothing", run: func(t *trial) {
		broken := io.MultiReader(bytes.NewReader(noise(1<<20)), iotest.ErrReader(errDeclared))
		if r, err := fray.PutReader(t.ctx, broken); !errors.Is(err, errDeclared) {
			t.Errorf("got %v, %v", r, err)
		}
	}},
	{name: "a value that cannot be encoded is not put", run: func(t *trial) {
		_, err := fray.Put(t.ctx, func() {})
		if err == nil || !strings.Contains(err.Error(), "func()") {
			t.Errorf("got %v", err)
		}
		if _, err := fray.Put(t.ctx, "\xff"); !errors.Is(err, fray.ErrUndecodable) || !strings.Contains(err.Error(), "string") {
			t.Errorf("got %v", err)
		}
	}},
	{name: "a reader is over once it is closed", run: func(t *trial) {
		body, err := putting(t, "x").Open(t.ctx)
		if err != nil {
			t.Fatal(err)
		}
		if err := body.Close(); err != nil {
			t.Error(err)
		}
		if _, err := body.Read(make([]byte, 1)); err == nil {
			t.Error("read after Close")
		}
	}},
	{name: "objects end with their job context", run: func(t *trial) {
		r := putting(t, "x")
		if err := t.jc.Close(); err != nil {
			t.Error(err)
		}
		_, err1 := r.Get(t.ctx)
		_, err2 := fray.Put(t.ctx, "y")
		if !errors.Is(err1, fray.ErrClosed) || !errors.Is(err2, fray.ErrClosed) {
			t.Errorf("got %v, %v", err1, err2)
		}
	}},
}

// putting puts a value that has to be taken.
func putting[T any](t *trial, v T) fray.Ref[T] {
	t.Helper()
	r, err := fray.Put(t.ctx, v)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
