// Command conformance is a client and a server for the conformance suite of Connect, with or
// without the adapters of package faults around connect-go. The suite's runner starts it as
//
//	conformance [-adapters off|idle|acting] [-seen FILE] [-results FILE] client|server|sim
//
// and speaks with it by standard input and output. A client makes the calls that it is told of, a
// server answers such calls. With sim it is a client whose calls go to the same server over the
// network of package sim, wherever the runner's server is.
package main

import (
	"cmp"
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"google.golang.org/protobuf/proto"
)

func main() {
	mode := flag.String("adapters", adaptersOff, "adapters of package faults: off, idle, acting")
	seen := flag.String("seen", "", "a `file` to add to what the adapters did")
	results := flag.String("results", os.DevNull, "a `file` for what came of a client's calls")
	flag.Parse()
	if err := run(flag.Arg(0), *mode, *seen, *results); err != nil {
		fmt.Fprintf(os.Stderr, "conformance %s: %v\n", flag.Arg(0), err)
		os.Exit(1)
	}
}

func run(role, mode, seen, file string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	results, err := os.Create(file)
	if err != nil {
		return err
	}
	defer results.Close()
	if role == "sim" {
		return runClient(ctx, simulate(mode, seen), os.Stdin, os.Stdout, results)
	}
	a, err := newAdapters(mode)
	if err != nil {
		return err
	}
	defer a.close()
	switch role {
	case "client":
		err = runClient(ctx, newNetwork(a).call, os.Stdin, os.Stdout, results)
	case "server":
		err = runServer(ctx, a, os.Stdin, os.Stdout)
	default:
		err = fmt.Errorf("role %q: not one of client, server, sim", role)
	}
	return cmp.Or(err, a.tell(role, seen))
}

// maxMessage bounds a message of the runner, in bytes.
const maxMessage = 64 << 20

// read reads a message behind its length.
func read(from io.Reader, message proto.Message) error {
	var prefix [4]byte
	if _, err := io.ReadFull(from, prefix[:]); err != nil {
		return err
	}
	length := binary.BigEndian.Uint32(prefix[:])
	if length > maxMessage {
		return fmt.Errorf("read message: it has %d bytes, more than %d", length, maxMessage)
	}
	content := make([]byte, length)
	if _, err := io.ReadFull(from, content); err != nil {
		return fmt.Errorf("read message: %w", err)
	}
	return proto.Unmarshal(content, message)
}

// write writes a message behind its length.
func write(to io.Writer, message proto.Message) error {
	content, err := proto.Marshal(message)
	if err != nil {
		return err
	}
	length := uint32(len(content)) //nolint:gosec // The runner takes 16 MiB.
	_, err = to.Write(append(binary.BigEndian.AppendUint32(nil, length), content...))
	return err
}
