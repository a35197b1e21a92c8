package maprun_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/frayrpc/fray/cmd/fray/internal/maprun"
)

func TestCommandWithInput(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		command maprun.Command
		want    []string
	}{
		{maprun.Command{"a"}, []string{"a", "x y"}},
		{maprun.Command{"a", "-{}-{}", "{}", "b"}, []string{"a", "-x y-x y", "x y", "b"}},
	} {
		if got := tt.command.With("x y"); !slices.Equal(got, tt.want) {
			t.Errorf("%q became %q, want %q", tt.command, got, tt.want)
		}
	}
}

func TestRead(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 128<<10)
	for _, tt := range []struct {
		text      string
		delimiter byte
		want      []string
		wrong     string
	}{
		{text: "", delimiter: '\n'},
		{text: "a\n\nb", delimiter: '\n', want: []string{"a", "", "b"}},
		{text: "a\nb\x00\x00c\x00", want: []string{"a\nb", "", "c"}},
		{text: "a\nb\x00", delimiter: '\n', want: []string{"a"}, wrong: "list: input 2 has a NUL byte: pass --null if NUL bytes separate the inputs"},
		{text: long + "\n", delimiter: '\n', wrong: "list: input 1 has more than 131072 bytes"},
	} {
		var got []string
		wrong := ""
		for input, err := range maprun.Read(strings.NewReader(tt.text), "list", tt.delimiter) {
			if err == nil {
				got = append(got, input)
				continue
			}
			wrong = err.Error()
			var argument *maprun.ArgumentError
			if !errors.As(err, &argument) {
				t.Errorf("%v is not about an argument", err)
			}
		}
		if !slices.Equal(got, tt.want) || wrong != tt.wrong {
			t.Errorf("%.20q: got %q, %s; want %q, %s", tt.text, got, wrong, tt.want, tt.wrong)
		}
	}
}
