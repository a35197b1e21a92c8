package database

import (
	"encoding/binary"
	"encoding/json"
	"errors"

	"github.com/frayrpc/fray/fray/store"
	"github.com/frayrpc/fray/fray/store/lead"
	"github.com/frayrpc/fray/internal/number"
)

// Procedures are what the database is asked, by the paths of the requests.
const (
	prefix = "/database/"

	look   = "Look"
	settle = "Settle"
	take   = "Take"
	beat   = "Beat"
	leave  = "Leave"
	commit = "Commit"
	get    = "Get"
	scan   = "Scan"
	await  = "Await"
)

// Procedures returns the full names of what the database is asked.
func Procedures() []string {
	var all []string
	for _, name := range []string{await, beat, commit, get, leave, look, scan, settle, take} {
		all = append(all, prefix+name)
	}
	return all
}

// request is what is asked. Each procedure has fields of its own.
type request struct {
	From   string      // the host that asks
	Epoch  uint64      `json:",omitzero"`
	Number uint64      `json:",omitzero"` // of a commit
	Lazy   bool        `json:",omitzero"`
	Ops    []op        `json:",omitzero"`
	Seen   lead.Seat   `json:",omitzero"`
	Holder lead.Holder `json:",omitzero"`
	Key    store.Key   `json:",omitzero"` // of a record, or of the first of a scan
}

// op is what a commit does to a record. Size is that of the value, which comes after the message.
type op struct {
	store.Key

	Delete bool `json:",omitzero"`
	Size   int
}

// response is what is answered. The values of the records come after it.
type response struct {
	Error   string    `json:",omitzero"` // one of refusals
	Seat    lead.Seat `json:",omitzero"`
	Records []record  `json:",omitzero"`
}

// record is a number, and the size of a value.
type record struct {
	Num  uint64
	Size int
}

// encode writes a message: its length, itself as JSON, and values as they are. What is to be the same in
// each run of a seed must not be a text of them: in what order they have the entries of a map is up to
// chance, which the digests of a trace do not see in bytes.
func encode(message any, values [][]byte) ([]byte, error) {
	text, err := json.Marshal(message)
	if err != nil {
		return nil, err
	}
	data := binary.AppendUvarint(nil, uint64(len(text)))
	data = append(data, text...)
	for _, v := range values {
		data = append(data, v...)
	}
	return data, nil
}

// errCut says that a message is not whole.
var errCut = errors.New("message is cut short")

// decode reads what encode writes, but for the values, which it returns in one.
func decode(data []byte, message any) (values []byte, err error) {
	length, size := binary.Uvarint(data)
	if size <= 0 {
		return nil, errCut
	}
	n, err := number.Within("length", length, 0, len(data)-size)
	if err != nil {
		return nil, errCut
	}
	data = data[size:]
	if err := json.Unmarshal(data[:n], message); err != nil {
		return nil, err
	}
	return data[n:], nil
}

// next returns the first value of some, and the others.
func next(values []byte, size int) (value, rest []byte, err error) {
	if size < 0 || size > len(values) {
		return nil, nil, errCut
	}
	return values[:size:size], values[size:], nil
}

var (
	// errAway is what a caller sees whose connection broke, or whose database was replaced.
	errAway = errors.New("connection to the database was lost")
	// errCrashed is what goroutines of a host that has crashed see.
	errCrashed = errors.New("the host of the caller has crashed")
)

// refusals are the errors that travel, by what stands for them.
var refusals = map[string]error{
	"replaced": lead.ErrReplaced, "not-next": lead.ErrNotNext, "refused": lead.ErrRefused, "full": store.ErrFull,
	"not-found": store.ErrNotFound, "away": errAway,
}

// refusal returns what stands for an error.
func refusal(err error) string {
	for name, known := range refusals { // order-free: one of them is it
		if errors.Is(err, known) {
			return name
		}
	}
	return ""
}
