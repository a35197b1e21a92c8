package fray

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"

	"github.com/frayrpc/fray/fray/internal/object"
)

// Ref stands for a value that was put once and can be read by many: by the tasks that have it in their
// inputs, and by whoever gets it with a result. It is plain data, and small, whatever the value's size.
//
// The job that it names holds the value: while it has tasks that are open or kept, or a job context that
// has put something for it, and for ten minutes after that, by default. After that, or [Ref.Release], it
// is gone.
type Ref[T any] struct {
	// Job is the job that holds it.
	Job string `json:"job"`
	// ID is what it is: equal values have equal ids.
	ID string `json:"object"`
	// Size is how many bytes it has, as it is encoded.
	Size int64 `json:"size"`
	// Encoding is as in Payload.
	Encoding string `json:"encoding"`
}

// objects is where a backend keeps objects.
type objects interface {
	// put stores what a source has, for a job.
	put(ctx context.Context, job, encoding string, src *objectSource) (id string, size int64, err error)
	// piece returns one piece of an object, which the caller must not change. ErrObjectLost: there is no
	// such object.
	piece(ctx context.Context, job, id string, n uint32) ([]byte, error)
	// release ends a job's hold.
	release(ctx context.Context, job, id string) error
	// close refuses further calls with ErrClosed, before the backend is shut down. It may be repeated.
	close()
}

// Put stores a value in the job context of ctx, for its job; inside of a task, for the job of the task.
// The value is encoded as an input would be, and may be larger than one: it travels in pieces. A value
// that is there already is not stored again.
//
// Put blocks while the controller is away or has no room, for as long as ctx lives.
func Put[T any](ctx context.Context, v T) (Ref[T], error) {
	c, err := codecOf[T]()
	if err != nil {
		return Ref[T]{}, fmt.Errorf("put: %w", err)
	}
	p, err := c.encode(v, nil)
	if err != nil {
		return Ref[T]{}, fmt.Errorf("put %v as %q: %w: %w", reflect.TypeFor[T](), c.encoding, ErrUndecodable, err)
	}
	return put[T](ctx, p.Encoding, &objectSource{data: p.Data})
}

// PutReader is Put of all that r has. It stands in memory at no time. If r fails, PutReader returns its
// error, and nothing is stored.
func PutReader(ctx context.Context, r io.Reader) (Ref[[]byte], error) {
	return put[[]byte](ctx, encodingRaw, &objectSource{reader: bufio.NewReaderSize(r, object.PieceBytes+1)})
}

func put[T any](ctx context.Context, encoding string, src *objectSource) (Ref[T], error) {
	jc, err := FromContext(ctx)
	if err != nil {
		return Ref[T]{}, fmt.Errorf("put: %w", err)
	}
	job := jc.jobID
	if info, ok := InTask(ctx); ok {
		job = info.JobID
	}
	id, size, err := jc.objects.put(ctx, job, encoding, src)
	if err != nil {
		return Ref[T]{}, fmt.Errorf("put for job %s: %w", job, jc.because(nil, err))
	}
	return Ref[T]{Job: job, ID: id, Size: size, Encoding: encoding}, nil
}

// Get returns the value. An error is [ErrObjectLost] if the job does not hold it, and [ErrUndecodable] if
// it is no T.
func (r Ref[T]) Get(ctx context.Context) (T, error) {
	var none T
	c, err := codecOf[T]()
	if err != nil {
		return none, fmt.Errorf("get %s: %w", r, err)
	}
	body, err := r.Open(ctx)
	if err != nil {
		return none, err
	}
	data, err := io.ReadAll(body)
	if err := errors.Join(err, body.Close()); err != nil {
		return none, err
	}
	v, err := c.decodeResult(Payload{Encoding: r.Encoding, Data: data})
	if err != nil {
		return none, fmt.Errorf("get %s as %v: %w: %w", r, reflect.TypeFor[T](), ErrUndecodable, err)
	}
	if c.inspect != nil {
		if jc, err := FromContext(ctx); err == nil { // Open has found it.
			c.bind(v, jc, nil)
		}
	}
	return v, nil
}

// Open returns a reader of the value as it is encoded, which fetches a piece when that is read: so values
// need not stand in memory whole. It is for one goroutine, until ctx is done. The last read compares what
// was read with the id.
func (r Ref[T]) Open(ctx context.Context) (io.ReadCloser, error) {
	jc, err := FromContext(ctx)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", r, err)
	}
	if r.ID == "" {
		return nil, fmt.Errorf("get a value: %w: the ref is empty", ErrObjectLost)
	}
	own, _ := InTask(ctx) // none: it is not read by a task
	return &objectReader{
		ctx: ctx, jc: jc, job: r.Job, own: own.JobID, id: r.ID, encoding: r.Encoding, size: r.Size, name: r.String(),
	}, nil
}

// Release tells that the job needs the value no longer. It is gone once no other job holds it.
func (r Ref[T]) Release(ctx context.Context) error {
	jc, err := FromContext(ctx)
	if err == nil {
		err = jc.objects.release(ctx, r.Job, r.ID)
	}
	if err != nil {
		return fmt.Errorf("release %s: %w", r, err)
	}
	return nil
}

// String names the ref.
func (r Ref[T]) String() string { return fmt.Sprintf("object %.12s of job %s", r.ID, r.Job) }

// objectSource is a value that is to be put.
type objectSource struct {
	// It stands in memory, or is read.
	data   []byte
	reader *bufio.Reader
	// The piece that is to come now begins here in data, and has so many bytes.
	at, length int
}

// next returns the piece that is to come now, valid until advance, and whether it is the last.
func (s *objectSource) next() (piece []byte, last bool, err error) {
	if s.reader == nil {
		s.length = min(len(s.data)-s.at, object.PieceBytes)
		return s.data[s.at : s.at+s.length], s.at+s.length == len(s.data), nil
	}
	piece, err = s.reader.Peek(object.PieceBytes + 1)
	switch {
	case err == nil:
		s.length = object.PieceBytes
	case errors.Is(err, io.EOF):
		s.length, last = len(piece), true
	default:
		return nil, false, fmt.Errorf("read the value: %w", err)
	}
	return piece[:s.length], last, nil
}

// advance goes on to the next piece.
func (s *objectSource) advance() {
	s.at += s.length
	if s.reader != nil {
		_, _ = s.reader.Discard(s.length) // It was peeked at.
	}
}

// rewind goes back to the first piece, and says whether it could.
func (s *objectSource) rewind() bool {
	if s.reader != nil {
		return false
	}
	s.at = 0
	return true
}

// objectReader reads an object piece by piece.
type objectReader struct {
	ctx               context.Context //nolint:containedctx // It is that of the reader's caller.
	jc                *JobContext
	job, id, encoding string
	own               string // the job of the task that reads, which holds what its open tasks need; empty: none does
	name              string
	size              int64

	n     uint32 // the next piece
	left  []byte // of the last one
	namer object.Namer
	err   error // once it is over
}

// Read implements io.Reader.
func (r *objectReader) Read(p []byte) (int, error) {
	for len(r.left) == 0 {
		if r.err == nil {
			r.err = r.fetch()
		}
		if r.err != nil {
			return 0, r.err
		}
	}
	n := copy(p, r.left)
	r.left = r.left[n:]
	return n, nil
}

// fetch gets the next piece, or returns io.EOF after the last.
func (r *objectReader) fetch() error {
	if r.n > 0 && r.namer.Size() >= r.size {
		if r.namer.Size() != r.size || r.namer.Name(r.encoding) != r.id {
			return fmt.Errorf("get %s: what came is another value", r.name)
		}
		return io.EOF
	}
	piece, err := r.jc.objects.piece(r.ctx, r.job, r.id, r.n)
	if errors.Is(err, ErrObjectLost) && r.n == 0 && r.own != "" && r.own != r.job {
		r.job = r.own
		piece, err = r.jc.objects.piece(r.ctx, r.job, r.id, r.n)
	}
	if err != nil {
		return fmt.Errorf("get %s: %w", r.name, r.jc.because(nil, err))
	}
	r.namer.Add(piece)
	r.n++
	r.left = piece
	return nil
}

// Close implements io.Closer.
func (r *objectReader) Close() error {
	r.err, r.left = errObjectClosed, nil
	return nil
}

var errObjectClosed = errors.New("the reader of an object is closed")
