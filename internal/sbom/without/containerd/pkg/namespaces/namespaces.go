// Package namespaces has no namespaces, because there is no daemon.
package namespaces

import "context"

const Default = "default"

func WithNamespace(ctx context.Context, _ string) context.Context { return ctx }
