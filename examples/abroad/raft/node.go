// Package raft runs hashicorp/raft over its own TCP transport: three nodes behind a small HTTP server,
// as somebody would build a replicated list with it.
package raft

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	hraft "github.com/hashicorp/raft"
)

// stores are what a node keeps on its disk.
type stores struct {
	log       *hraft.InmemStore
	snapshots *hraft.InmemSnapshotStore
}

// list is the state machine: what was appended, in order.
type list struct {
	mu    sync.Mutex
	items []string
}

// Apply implements raft.FSM.
func (l *list) Apply(entry *hraft.Log) any {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.items = append(l.items, string(entry.Data))
	return len(l.items)
}

// Snapshot implements raft.FSM.
func (l *list) Snapshot() (hraft.FSMSnapshot, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return snapshot(strings.Join(l.items, "\n")), nil
}

// Restore implements raft.FSM.
func (l *list) Restore(r io.ReadCloser) error {
	defer r.Close()
	text, err := io.ReadAll(r)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.items = nil
	if len(text) > 0 {
		l.items = strings.Split(string(text), "\n")
	}
	return err
}

func (l *list) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.items, "\n")
}

type snapshot string

// Persist implements raft.FSMSnapshot.
func (s snapshot) Persist(sink hraft.SnapshotSink) error {
	if _, err := io.WriteString(sink, string(s)); err != nil {
		return errors.Join(err, sink.Cancel())
	}
	return sink.Close()
}

// Release implements raft.FSMSnapshot.
func (snapshot) Release() {}

// node is the program: it runs until its process ends.
func node(peers []string, kept stores) error {
	name, err := os.Hostname()
	if err != nil {
		return err
	}
	transport, err := hraft.NewTCPTransport(name+":7000", nil, 3, 2*time.Second, io.Discard)
	if err != nil {
		return err
	}
	config := hraft.DefaultConfig()
	config.LocalID = hraft.ServerID(name)
	config.LogOutput = io.Discard
	config.SnapshotThreshold, config.SnapshotInterval, config.TrailingLogs = 8, 5*time.Second, 2
	state := &list{}
	r, err := hraft.NewRaft(config, state, kept.log, kept.log, kept.snapshots, transport)
	if err != nil {
		return err
	}
	var servers []hraft.Server
	for _, peer := range peers {
		addrs, err := net.LookupHost(peer)
		if err != nil {
			return err
		}
		servers = append(servers, hraft.Server{ID: hraft.ServerID(peer), Address: hraft.ServerAddress(addrs[0] + ":7000")})
	}
	if err := r.BootstrapCluster(hraft.Configuration{Servers: servers}).Error(); err != nil && !errors.Is(err, hraft.ErrCantBootstrap) {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /append", func(w http.ResponseWriter, req *http.Request) {
		item, err := io.ReadAll(req.Body)
		if err != nil {
			return
		}
		if err := r.Apply(item, 5*time.Second).Error(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("GET /list", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, state) })
	return http.ListenAndServe(":80", mux)
}
