package engine

import (
	"context"
	"errors"
)

func checkClient(context.Context, string) error                   { return errors.New("later") }
func openClient(context.Context, string, Options) (Engine, error) { return nil, errors.New("later") }
