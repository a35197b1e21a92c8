package process

import (
	"bytes"
	"encoding/gob"
	"net"
	"reflect"
	"testing"
	"time"

	"github.com/frayrpc/fray/sim/check"
)

// An event is the same on both sides, whatever there is in it.
func TestEventsCrossTheSocket(t *testing.T) {
	t.Parallel()
	var full check.Event
	fill(reflect.ValueOf(&full).Elem(), 1)
	empty := check.Event{View: &check.View{}, Spec: &check.Spec{}, Capacity: &check.Capacity{}}
	for _, want := range []check.Event{full, empty} {
		var buffer bytes.Buffer
		if err := gob.NewEncoder(&buffer).Encode(request{Events: []check.Event{want}}); err != nil {
			t.Fatal(err)
		}
		var got request
		if err := gob.NewDecoder(&buffer).Decode(&got); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got.Events[0], want) {
			t.Errorf("got %+v, want %+v", got.Events[0], want)
		}
	}
}

// fill sets all fields to something that is not zero.
func fill(v reflect.Value, n int) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), n+i)
		}
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key, n)
		fill(value, n)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), n)
	case reflect.String:
		v.SetString("text")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Float64:
		v.SetFloat(float64(n))
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(int64(n))
	default:
		v.SetUint(uint64(n))
	}
}

// A worker's call gets its place in the history before it goes on, and its events are there when
// Add returns.
func TestParentIsALog(t *testing.T) {
	t.Parallel()
	ours, theirs := net.Pipe()
	history := check.NewHistory(check.HistoryConfig{Clock: func() time.Duration { return 7 }})
	p := newParent(theirs)
	served := make(chan struct{})
	go func() {
		defer close(served)
		encoder, decoder := gob.NewEncoder(ours), gob.NewDecoder(ours)
		for {
			var r request
			if decoder.Decode(&r) != nil {
				return
			}
			a := answer{}
			if len(r.Events) > 0 {
				history.Add(r.Events...)
			} else {
				a.Seq, a.At, a.Call = history.Begin()
			}
			if encoder.Encode(a) != nil {
				return
			}
		}
	}()
	p.Add(check.Event{Kind: check.UnregisterCall, Host: "a"}, check.Event{Kind: check.UnregisterCall, Host: "b"})
	if history.Len() != 2 {
		t.Errorf("%d events are there", history.Len())
	}
	p.Add()
	if seq, at, call := p.Begin(); seq != 2 || at != 7 || call != 1 {
		t.Errorf("got %d, %v, %d", seq, at, call)
	}
	_ = ours.Close()
	_ = theirs.Close()
	<-served
	<-p.gone
}
