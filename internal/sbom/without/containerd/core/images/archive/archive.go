// Package archive has the options of an export that client refuses.
package archive

import (
	"github.com/containerd/platforms"

	"github.com/containerd/containerd/v2/core/images"
)

type ExportOpt func()

func WithImage(images.Store, string) ExportOpt       { return nil }
func WithPlatform(platforms.MatchComparer) ExportOpt { return nil }
