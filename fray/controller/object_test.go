package controller_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/fray/controller"
	"github.com/frayrpc/fray/fray/core"
	"github.com/frayrpc/fray/fray/internal/object"
	"github.com/frayrpc/fray/fray/store"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// uploading is a value that is put piece by piece.
type uploading struct {
	c      *cluster
	job    string
	id     string
	pieces [][]byte
	name   string
}

func (c *cluster) uploading(job, id string, data []byte) *uploading {
	u := &uploading{c: c, job: job, id: id, name: object.NameOf("raw", data)}
	for p := range object.Pieces(data) {
		u.pieces = append(u.pieces, p)
	}
	return u
}

func (u *uploading) put(n int) (*frayv1.PutObjectResponse, error) {
	last := n == len(u.pieces)-1
	return u.c.PutObject(u.c.t.Context(), &frayv1.PutObjectRequest{
		JobId: u.job, UploadId: u.id, Piece: uint32(n), Data: u.pieces[n], Last: last, Encoding: "raw", ObjectId: u.name,
	})
}

// all puts all pieces from one on.
func (u *uploading) all(from int) *frayv1.ObjectInfo {
	u.c.t.Helper()
	var info *frayv1.ObjectInfo
	for n := from; n < len(u.pieces); n++ {
		r, err := u.put(n)
		if err != nil || int(r.GetPieceCount()) != n+1 {
			u.c.t.Fatalf("piece %d: %v, %v", n, r, err)
		}
		info = r.GetObject()
	}
	if info.GetObjectId() != u.name {
		u.c.t.Fatalf("put %v, want %s", info, u.name)
	}
	return info
}

// read returns a value, or why it is not there.
func (c *cluster) read(job, name string) ([]byte, error) {
	var data []byte
	for n, pieces := uint32(0), uint32(1); n < pieces; n++ {
		r, err := c.GetObject(c.t.Context(), &frayv1.GetObjectRequest{JobId: job, ObjectId: name, Piece: n})
		if err != nil {
			return nil, err
		}
		data, pieces = append(data, r.GetData()...), r.GetObject().GetPieceCount()
	}
	return data, nil
}

func patterned(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * i >> 7)
	}
	return b
}

// The client names objects as the scheduler does, and cuts them alike.
func TestObjectsHaveOneName(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, core.PieceBytes, core.PieceBytes + 1} {
		var chain core.Chain
		size := int64(0)
		for p := range object.Pieces(patterned(n)) {
			chain = chain.Add(sha256.Sum256(p))
			size += int64(len(p))
		}
		if got, want := object.NameOf("json", patterned(n)), core.NameObject("json", size, chain); got != fmt.Sprintf("%x", want) {
			t.Errorf("%d bytes are %s and %x", n, got, want)
		}
	}
	if object.PieceBytes != core.PieceBytes {
		t.Errorf("pieces of %d and %d bytes", object.PieceBytes, core.PieceBytes)
	}
}

func TestObjectsOutliveTheController(t *testing.T) {
	t.Parallel()
	kept := lasting{store.NewMemory()}
	small, large := []byte("small"), patterned(3*core.PieceBytes+5)
	c := startOn(t, kept)
	first := c.uploading("j", "u1", small).all(0).GetObjectId()
	half := c.uploading("j", "u2", large)
	for n := range 2 {
		if _, err := half.put(n); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.ReleaseObjects(t.Context(), &frayv1.ReleaseObjectsRequest{JobId: "j", ObjectIds: []string{c.uploading("j", "u3", []byte("gone")).all(0).GetObjectId()}}); err != nil {
		t.Fatal(err)
	}
	if err := c.stop(); err != nil {
		t.Fatal(err)
	}

	c = startOn(t, kept)
	if v, err := c.read("j", first); err != nil || !bytes.Equal(v, small) {
		t.Errorf("after a restart: %q, %v", v, err)
	}
	_, err := c.read("j", object.NameOf("raw", []byte("gone")))
	wantCode(t, err, connect.CodeNotFound)
	half.c = c
	if r, err := half.put(1); err != nil || r.GetPieceCount() != 2 {
		t.Errorf("a piece that had come: %v, %v", r, err)
	}
	second := half.all(2).GetObjectId()
	if v, err := c.read("j", second); err != nil || !bytes.Equal(v, large) {
		t.Errorf("an upload that a restart interrupted: %d bytes, %v", len(v), err)
	}
	if held, err := c.HoldObjects(t.Context(), &frayv1.HoldObjectsRequest{JobId: "k", ObjectIds: []string{second, first, strings.Repeat("0", 64)}}); err != nil ||
		!held.GetHeld()[0] || !held.GetHeld()[1] || held.GetHeld()[2] || held.GetGraceMs() != 600_000 {
		t.Errorf("held by another job: %v, %v", held, err)
	}
	if _, err := c.ReleaseObjects(t.Context(), &frayv1.ReleaseObjectsRequest{JobId: "j", ObjectIds: []string{second}}); err != nil {
		t.Fatal(err)
	}
	_, err = c.read("j", second)
	wantCode(t, err, connect.CodeNotFound)
	if v, err := c.read("k", second); err != nil || !bytes.Equal(v, large) {
		t.Errorf("held by another job: %d bytes, %v", len(v), err)
	}
}

func TestObjectsRefuse(t *testing.T) {
	t.Parallel()
	c := start(t, func(cfg *controller.Config) { cfg.Core.MaxObjectBytes = 2 * core.PieceBytes })
	data := patterned(core.PieceBytes + 1)
	name := object.NameOf("raw", data)
	put := func(edit func(*frayv1.PutObjectRequest)) error {
		r := &frayv1.PutObjectRequest{JobId: "j", UploadId: "u", Data: data[:core.PieceBytes], Encoding: "raw"}
		edit(r)
		_, err := c.PutObject(t.Context(), r)
		return err
	}
	get := func(job, name string, piece uint32) error {
		_, err := c.GetObject(t.Context(), &frayv1.GetObjectRequest{JobId: job, ObjectId: name, Piece: piece})
		return err
	}
	c.uploading("j", "there", data).all(0)
	for _, test := range []struct {
		name string
		err  error
		code connect.Code
		want string
	}{
		{"a short piece", put(func(r *frayv1.PutObjectRequest) { r.Data = r.GetData()[1:] }), connect.CodeInvalidArgument, "data: must have 524288 bytes"},
		{"a long piece", put(func(r *frayv1.PutObjectRequest) { r.Data = data }), connect.CodeInvalidArgument, "data"},
		{"another name", put(func(r *frayv1.PutObjectRequest) { r.Last, r.ObjectId = true, strings.Repeat("ab", 32) }), connect.CodeInvalidArgument, "another object than was named"},
		{"no name", put(func(r *frayv1.PutObjectRequest) { r.ObjectId = "xyz" }), connect.CodeInvalidArgument, "object_id"},
		{"no job", put(func(r *frayv1.PutObjectRequest) { r.JobId = "" }), connect.CodeInvalidArgument, "job_id"},
		{"no upload", put(func(r *frayv1.PutObjectRequest) { r.UploadId = "" }), connect.CodeInvalidArgument, "upload_id"},
		{"an unknown object", get("j", strings.Repeat("ab", 32), 0), connect.CodeNotFound, "the job does not hold it"},
		{"an unknown job", get("k", name, 0), connect.CodeNotFound, "object " + name + ` of job "k"`},
		{"no such piece", get("j", name, 2), connect.CodeInvalidArgument, "has 2 pieces"},
		{"no room", put(func(r *frayv1.PutObjectRequest) { r.UploadId = "v" }), connect.CodeResourceExhausted, "no room for more objects"},
	} {
		if connect.CodeOf(test.err) != test.code || !strings.Contains(test.err.Error(), test.want) {
			t.Errorf("%s: %v, want %v with %q", test.name, test.err, test.code, test.want)
		}
	}
	if r, err := c.uploading("j", "again", data).put(0); err == nil { // The bound is of the job: what it has is there.
		t.Errorf("past the bound: %v", r)
	}
	again := c.uploading("j", "again", data)
	if r, err := again.put(len(again.pieces) - 1); err != nil || r.GetObject().GetObjectId() != name {
		t.Errorf("put again by its last piece alone: %v, %v", r, err)
	}
}

// A job that has nothing else lets go of its objects after a while in which nobody asks about them.
func TestObjectsEndWithTheirJob(t *testing.T) {
	t.Parallel()
	kept := lasting{store.NewMemory()}
	c := start(t, func(cfg *controller.Config) { cfg.Store, cfg.Core.ObjectGrace = kept, 50*time.Millisecond })
	name := c.uploading("j", "u", patterned(core.PieceBytes+1)).all(0).GetObjectId()
	for n := len(kept.records()); n > 0; n = len(kept.records()) {
		time.Sleep(5 * time.Millisecond)
	}
	_, err := c.read("j", name)
	wantCode(t, err, connect.CodeNotFound)
}

// records lists what is kept of objects.
func (l lasting) records() (nums []uint64) {
	for _, kind := range []store.RecordKind{store.Object, store.Piece} {
		_ = l.Scan(kind, 0, func(num uint64, _ []byte) error {
			nums = append(nums, num)
			return nil
		})
	}
	return nums
}
