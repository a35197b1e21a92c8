package controller

import (
	"context"
	"errors"

	"connectrpc.com/connect"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

func (s *service) ListActors(context.Context, *frayv1.ListActorsRequest) (*frayv1.ListActorsResponse, error) {
	return nil, connect.NewError(connect.CodeUnimplemented, errors.New("not yet"))
}
