package main

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

	"connectrpc.com/connect"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/command"
)

func TestRoughly(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		d    time.Duration
		want string
	}{
		{0, "0s"},
		{1234 * time.Microsecond, "1ms"},
		{1234 * time.Millisecond, "1.2s"},
		{61 * time.Second, "1m1s"},
		{90 * time.Minute, "1h30m"},
		{2 * time.Hour, "2h"},
		{100 * time.Hour, "4d"},
	} {
		if got := roughly(tt.d); got != tt.want {
			t.Errorf("roughly(%v) is %q, want %q", tt.d, got, tt.want)
		}
	}
}

func TestByteSize(t *testing.T) {
	t.Parallel()
	for n, want := range map[uint64]string{0: "0 B", 1023: "1023 B", 1536: "1.5 KiB", 5 << 20: "5.0 MiB", 1 << 63: "8.0 EiB"} {
		if got := byteSize(n); got != want {
			t.Errorf("byteSize(%d) is %q, want %q", n, got, want)
		}
	}
}

func TestExitCode(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		err  error
		want int
	}{
		{"success", nil, 0},
		{"usage", command.UsageError("x"), 2},
		{"wrapped", fmt.Errorf("a: %w", command.UsageError("x")), 2},
		{"unknown error", errors.New("x"), 3},
		{"not found", connect.NewError(connect.CodeNotFound, nil), 4},
		{"invalid", connect.NewError(connect.CodeInvalidArgument, nil), 2},
		{"interrupt", &command.SignalError{Signal: os.Interrupt}, 130},
		{"terminate", &command.SignalError{Signal: syscall.SIGTERM}, 143},
		{"interrupt before failure", errors.Join(command.UsageError("x"), &command.SignalError{Signal: os.Interrupt}), 130},
		{"said", silent(1), 1},
	} {
		if got := exitCode(tt.err); got != tt.want {
			t.Errorf("%s: exit code %d, want %d", tt.name, got, tt.want)
		}
	}
}

func TestValueText(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		value *frayv1.Payload
		want  string
	}{
		{nil, ""},
		{&frayv1.Payload{Encoding: "json", Data: []byte(`{"a":1}`)}, `{"a":1}`},
		{&frayv1.Payload{Encoding: "raw", Data: []byte("abc")}, `3 bytes encoded as "raw"`},
	} {
		if got := valueText(tt.value); got != tt.want {
			t.Errorf("valueText(%v) is %q, want %q", tt.value, got, tt.want)
		}
	}
	if got := newResultJSON(&frayv1.TaskResult{Value: &frayv1.Payload{Encoding: "raw", Data: []byte("abc")}}); got.ValueBase64 != "YWJj" {
		t.Errorf("base64 of abc is %q", got.ValueBase64)
	}
}
