package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

const (
	// placeholder stands for the input in the arguments of a command.
	placeholder = "{}"
	// separator stands between the command and inputs on the command line.
	separator = ":::"
	// maxInputBytes bounds one input. Linux takes arguments of up to 128 KiB.
	maxInputBytes = 128 << 10
)

// commandTemplate is the command of map before an input is put into it.
type commandTemplate []string

// with returns the arguments of the command for an input: in place of each placeholder, or at the end if there is none.
func (t commandTemplate) with(input string) []string {
	argv := make([]string, 0, len(t)+1)
	found := false
	for _, arg := range t {
		found = found || strings.Contains(arg, placeholder)
		argv = append(argv, strings.ReplaceAll(arg, placeholder, input))
	}
	if !found {
		argv = append(argv, input)
	}
	return argv
}

// splitInputs cuts the arguments of map at the separator. Without one, inputs is nil.
func splitInputs(args []string) (command commandTemplate, inputs []string, err error) {
	i := slices.Index(args, separator)
	if i < 0 {
		command = args
	} else {
		command, inputs = args[:i], args[i+1:]
		if inputs == nil {
			inputs = []string{}
		}
		if slices.Contains(inputs, separator) {
			return nil, nil, usageError("%s is there more than once: there is one list of inputs", separator)
		}
	}
	if len(command) == 0 {
		return nil, nil, usageError("which command? give it after --, such as: fray map -- gzip -9 {} ::: *.log")
	}
	return command, inputs, nil
}

// inputSource yields the inputs of map, one after the other, then io.EOF. It is closed by its owner.
type inputSource interface {
	next() (string, error)
	// bounded reports whether reading on to the end takes no longer than a file does.
	bounded() bool
	close() error
}

// listSource yields the inputs of the command line.
type listSource struct{ inputs []string }

func (s *listSource) next() (string, error) {
	if len(s.inputs) == 0 {
		return "", io.EOF
	}
	input := s.inputs[0]
	s.inputs = s.inputs[1:]
	return input, nil
}

func (*listSource) bounded() bool { return true }
func (*listSource) close() error  { return nil }

// readerSource yields the lines of a file, or what stands between NUL bytes.
type readerSource struct {
	name      string
	reader    *bufio.Reader
	closer    io.Closer // nil: stays open
	delimiter byte
	read      int
}

func (a *app) openInputs(list []string, path string, null bool) (inputSource, error) {
	delimiter := byte('\n')
	if null {
		delimiter = 0
	}
	switch {
	case list != nil && path != "":
		return nil, usageError("inputs both after %s and from --inputs: give one of them", separator)
	case list != nil && null:
		return nil, usageError("--null is about inputs that are read, and these stand after %s", separator)
	case list != nil:
		return &listSource{list}, nil
	case path == "" || path == "-":
		if isTTY(a.stdin) {
			fmt.Fprintln(a.stderr, "fray map: reading inputs from the terminal, one a line; Ctrl-D ends them")
		}
		return &readerSource{name: "standard input", reader: bufio.NewReaderSize(a.stdin, maxInputBytes), delimiter: delimiter}, nil
	default:
		file, err := os.Open(path) //nolint:gosec // The user names it.
		if err != nil {
			return nil, usageError("open inputs: %w", err)
		}
		return &readerSource{name: path, reader: bufio.NewReaderSize(file, maxInputBytes), closer: file, delimiter: delimiter}, nil
	}
}

func (s *readerSource) next() (string, error) {
	data, err := s.reader.ReadSlice(s.delimiter)
	s.read++
	text := data
	if err == nil {
		text = data[:len(data)-1]
	}
	switch {
	case bytes.IndexByte(text, 0) >= 0: // else they would all be one
		return "", usageError("%s: input %d has a NUL byte: pass --null if NUL bytes separate the inputs", s.name, s.read)
	case errors.Is(err, bufio.ErrBufferFull):
		return "", usageError("%s: input %d has more than %d bytes", s.name, s.read, maxInputBytes)
	case errors.Is(err, io.EOF) && len(data) > 0: // the last one may lack its end
		return string(data), nil
	case errors.Is(err, io.EOF):
		return "", io.EOF
	case err != nil:
		return "", &codedError{exitUsage, fmt.Errorf("read inputs from %s: %w", s.name, err)}
	}
	return string(text), nil
}

func (s *readerSource) bounded() bool { return s.closer != nil }

func (s *readerSource) close() error {
	if s.closer == nil {
		return nil
	}
	return s.closer.Close()
}

// eachInput calls fn for each input, until it returns an error.
func eachInput(inputs inputSource, fn func(input string) error) error {
	for {
		input, err := inputs.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = fn(input)
		}
		if err != nil {
			return err
		}
	}
}
