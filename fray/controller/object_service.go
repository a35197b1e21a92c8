package controller

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/frayrpc/fray/fray/access"
	"github.com/frayrpc/fray/fray/core"
	"github.com/frayrpc/fray/fray/internal/serve"
	"github.com/frayrpc/fray/fray/internal/wire"
	"github.com/frayrpc/fray/fray/store"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
	"github.com/frayrpc/fray/internal/number"
)

func (s *service) PutObject(ctx context.Context, req *frayv1.PutObjectRequest) (*frayv1.PutObjectResponse, error) {
	if n := len(req.GetData()); n != core.PieceBytes && !req.GetLast() {
		return nil, wire.Error(wire.ReasonInvalid, 0, "data: must have %d bytes where the piece is not the last, has %d", core.PieceBytes, n)
	}
	if err := s.roomForObjects(req.GetJobId()); err != nil {
		return nil, err
	}
	event := &core.PutPiece{
		Call: s.c.call(), Job: req.GetJobId(), Upload: req.GetUploadId(), Piece: req.GetPiece(), Data: req.GetData(), Sum: sha256.Sum256(req.GetData()),
		Last: req.GetLast(), Encoding: req.GetEncoding(), ID: objectID(req.GetObjectId()),
		Owner: access.Confined(ctx, frayv1connect.ControllerServicePutObjectProcedure), By: access.From(ctx).Owns(),
	}
	r, err := ask[core.PieceReply](ctx, s.c, event.Call, fmt.Sprintf("object of job %q", req.GetJobId()), event)
	if err != nil {
		return nil, err
	}
	resp := &frayv1.PutObjectResponse{PieceCount: r.Pieces}
	if r.Done {
		resp.Object = objectInfo(&r.Object)
	}
	return resp, nil
}

// roomForObjects says whether the store and the memory have room for more.
func (s *service) roomForObjects(job string) error {
	if err := s.c.memory.room(); err != nil {
		return wire.Error(wire.ReasonQueueFull, memoryHint, "object of job %q: %w", job, err)
	}
	if roomer, ok := s.c.cfg.Store.(store.Roomer); ok {
		if err := roomer.Room(); err != nil {
			return wire.Error(wire.ReasonStoreFull, storeFullHint, "object of job %q: %w: make room, or try again later", job, err)
		}
	}
	return nil
}

func (s *service) GetObject(ctx context.Context, req *frayv1.GetObjectRequest) (*frayv1.GetObjectResponse, error) {
	subject := fmt.Sprintf("object %s of job %q", req.GetObjectId(), req.GetJobId())
	call := s.c.call()
	o, err := ask[core.ObjectView](ctx, s.c, call, subject, &core.ReadObject{
		Call: call, Job: req.GetJobId(), ID: objectID(req.GetObjectId()), Owner: access.Confined(ctx, frayv1connect.ControllerServiceGetObjectProcedure),
	})
	if err != nil {
		return nil, err
	}
	defer s.c.inbox.read(call) // It is read.
	if req.GetPiece() >= o.Pieces {
		return nil, wire.Error(wire.ReasonInvalid, 0, "piece: %s has %d pieces, from 0; there is no piece %d", subject, o.Pieces, req.GetPiece())
	}
	if err := serve.Reserve(ctx, core.PieceBytes); err != nil {
		return nil, err
	}
	data, err := s.c.cfg.Store.Get(pieceKey(o.Num, req.GetPiece()))
	if errors.Is(err, store.ErrNotFound) {
		err = fmt.Errorf("%w: piece %d of object number %d is not there", store.ErrCorrupt, req.GetPiece(), o.Num)
	}
	if err != nil {
		return nil, s.c.unreadable(subject, err)
	}
	return &frayv1.GetObjectResponse{Object: objectInfo(&o), Data: data}, nil
}

func (s *service) HoldObjects(ctx context.Context, req *frayv1.HoldObjectsRequest) (*frayv1.HoldObjectsResponse, error) {
	event := &core.HoldObjects{
		Call: s.c.call(), Job: req.GetJobId(), IDs: objectIDs(req.GetObjectIds()),
		Owner: access.Confined(ctx, frayv1connect.ControllerServiceHoldObjectsProcedure), By: access.From(ctx).Owns(),
	}
	r, err := ask[core.HoldReply](ctx, s.c, event.Call, fmt.Sprintf("objects of job %q", req.GetJobId()), event)
	if err != nil {
		return nil, err
	}
	return &frayv1.HoldObjectsResponse{Held: r.Held, GraceMs: number.Millis(r.Grace)}, nil
}

func (s *service) ReleaseObjects(ctx context.Context, req *frayv1.ReleaseObjectsRequest) (*frayv1.ReleaseObjectsResponse, error) {
	event := &core.ReleaseObjects{
		Call: s.c.call(), Job: req.GetJobId(), IDs: objectIDs(req.GetObjectIds()),
		Owner: access.Confined(ctx, frayv1connect.ControllerServiceReleaseObjectsProcedure),
	}
	if _, err := ask[core.Done](ctx, s.c, event.Call, fmt.Sprintf("objects of job %q", req.GetJobId()), event); err != nil {
		return nil, err
	}
	return &frayv1.ReleaseObjectsResponse{}, nil
}

// objectID is the name that its text says, which the schema has checked; zero where there is none.
func objectID(text string) (id core.ObjectID) {
	if b, err := hex.DecodeString(text); err == nil && len(b) == len(id) {
		id = core.ObjectID(b)
	}
	return id
}

func objectIDs(texts []string) []core.ObjectID {
	ids := make([]core.ObjectID, len(texts))
	for i, t := range texts {
		ids[i] = objectID(t)
	}
	return ids
}

func objectInfo(o *core.ObjectView) *frayv1.ObjectInfo {
	return &frayv1.ObjectInfo{ObjectId: hex.EncodeToString(o.ID[:]), SizeBytes: o.Size, Encoding: o.Encoding, PieceCount: o.Pieces}
}
