package execfn_test

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/frayrpc/fray/fray/worker/execfn"
)

// Names that were not UTF-8 reached commands as other names, and two of them as one.
func TestCommandKeepsBytes(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		command execfn.Command
		want    string
	}{
		"UTF-8 as before": {
			execfn.Command{Argv: []string{"echo", "ä\ufffd\u2028<"}, Stdin: []byte("x"), Env: []string{"A=é"}, Dir: "/ü"},
			`{"argv":["echo","ä�\u2028\u003c"],"stdin":"eA==","env":["A=é"],"dir":"/ü"}`,
		},
		"other bytes": {
			execfn.Command{Argv: []string{"cat", "caf\xe9"}, Env: []string{"A=\xff"}, Dir: "/\xe8", AllowNonzero: true, MaxOutputBytes: 7},
			`{"argv":["cat",{"base64":"Y2Fm6Q=="}],"env":[{"base64":"QT3/"}],"dir":{"base64":"L+g="},"allow_nonzero":true,"max_output_bytes":7}`,
		},
		"surrogates in UTF-8": {
			execfn.Command{Argv: []string{"\xed\xa0\x80"}},
			`{"argv":[{"base64":"7aCA"}]}`,
		},
		"nothing": {execfn.Command{}, `{"argv":null}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data, err := json.Marshal(tt.command)
			if err != nil || string(data) != tt.want {
				t.Errorf("encoded as %s, %v, want %s", data, err, tt.want)
			}
			var back execfn.Command
			if err := json.Unmarshal(data, &back); err != nil || !reflect.DeepEqual(back, tt.command) {
				t.Errorf("decoded as %#v, %v, want %#v", back, err, tt.command)
			}
		})
	}
}

func TestCommandKeepsRandomBytes(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2)) // The same each time.
	text := func() string {
		data := make([]byte, random.IntN(6))
		for i := range data {
			data[i] = byte(random.IntN(256))
		}
		return string(data)
	}
	for range 20_000 {
		command := execfn.Command{Argv: []string{text(), text()}, Env: []string{text()}, Dir: text()}
		data, err := json.Marshal(command)
		var back execfn.Command
		if err == nil {
			err = json.Unmarshal(data, &back)
		}
		if err != nil || !reflect.DeepEqual(back, command) {
			t.Fatalf("%#v became %s and %#v, %v", command, data, back, err)
		}
	}
}

func TestCommandFromOthers(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		data string
		want []string
		err  string // empty: none
	}{
		"by hand":             {`{"argv":["echo","hi"]}`, []string{"echo", "hi"}, ""},
		"escapes":             {`{"argv":["\u00e4\ud83d\ude00\\ud800\ufffd"]}`, []string{"ä😀\\ud800\ufffd"}, ""},
		"base64 of UTF-8":     {`{"argv":[{"base64":"aGk="}]}`, []string{"hi"}, ""},
		"empty bytes":         {`{"argv":[{"base64":""}]}`, []string{""}, ""},
		"bytes as they are":   {"{\"argv\":[\"caf\xe9\"]}", nil, "not valid UTF-8"},
		"first half alone":    {`{"argv":["\ud83dx"]}`, nil, "not valid UTF-8"},
		"second half alone":   {`{"argv":["\ude00"]}`, nil, "not valid UTF-8"},
		"first half twice":    {`{"argv":["\ud83d\ud83d"]}`, nil, "not valid UTF-8"},
		"first half at end":   {`{"argv":["x\uDBFF"]}`, nil, "not valid UTF-8"},
		"half and an escape":  {`{"argv":["\ud83d\n"]}`, nil, "not valid UTF-8"},
		"directory":           {"{\"argv\":[\"a\"],\"dir\":\"\xe9\"}", nil, "not valid UTF-8"},
		"an unknown form":     {`{"argv":[{"base46":"aGk="}]}`, nil, "base46"},
		"an empty form":       {`{"argv":[{}]}`, nil, `needs "base64"`},
		"base64 that is none": {`{"argv":[{"base64":"%"}]}`, nil, "base64"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var command execfn.Command
			err := json.Unmarshal([]byte(tt.data), &command)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("got %+q, %v, want an error with %q", command.Argv, err, tt.err)
				}
				return
			}
			if err != nil || !reflect.DeepEqual(command.Argv, tt.want) {
				t.Errorf("got %+q, %v, want %+q", command.Argv, err, tt.want)
			}
		})
	}
}
