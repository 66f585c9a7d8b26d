package image

import (
	"context"
	"os"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// A machine without a cache writes only the layers that no registry has. The images are the
// same, and so is the debug image.
func TestRemoteLayers(t *testing.T) {
	ctx := context.Background()
	s, spec := demo(t)
	busybox := s.add("busybox", map[string]string{"bin/busybox": "!busybox", "bin/sh": "→busybox"})
	tools := ToolsSpec{Closure: s.all[len(s.all)-1:], Root: busybox, Created: created, Of: &spec}
	spec.Closure = s.all[:len(s.all)-1]
	warm := newLayout(t)
	opts := s.options()
	image, err := Assemble(ctx, warm, spec, opts)
	check(t, err)
	tools.Base = image.Descriptor
	debug, err := AddTools(ctx, warm, tools, opts)
	check(t, err)
	fromLayers := tools
	fromLayers.Of = nil
	if same, err := AddTools(ctx, warm, fromLayers, s.options()); err != nil || same.Descriptor.Digest != debug.Descriptor.Digest {
		t.Errorf("from the layers %v, %v; from what they were made of %v", same.Descriptor.Digest, err, debug.Descriptor.Digest)
	}

	cold := newLayout(t)
	opts = s.options()
	remote := map[v1.Hash]bool{}
	for _, layer := range debug.Layers[:len(debug.Layers)-2] { // all but the root file system and the tools
		opts.Cache.Add(layer)
		remote[layer.Digest] = true
	}
	opts.Elsewhere = func(digest v1.Hash) bool { return remote[digest] }
	again, err := Assemble(ctx, cold, spec, opts)
	check(t, err)
	if again.Descriptor.Digest != image.Descriptor.Digest {
		t.Errorf("cold: %s, warm: %s", again.Descriptor.Digest, image.Descriptor.Digest)
	}
	if last := len(again.Layers) - 1; again.Written != image.Layers[last].Size || !again.Layers[last].Fresh {
		t.Errorf("written: %d bytes, expected those of the last layer: %d", again.Written, image.Layers[last].Size)
	}
	debugAgain, err := AddTools(ctx, cold, tools, opts)
	check(t, err)
	if debugAgain.Descriptor.Digest != debug.Descriptor.Digest {
		t.Errorf("debug, cold: %s, warm: %s", debugAgain.Descriptor.Digest, debug.Descriptor.Digest)
	}
	for i, layer := range debug.Layers {
		if _, err := os.Stat(cold.BlobPath(layer.Digest)); (err == nil) != (i >= len(debug.Layers)-2) {
			t.Errorf("layer %d (%s) is in the cold layout: %v", i, layer.Name, err == nil)
		}
	}
	if content := cold.Content(debugAgain.Descriptor); content.Complete || len(content.Missing) != len(debug.Layers)-2 {
		t.Errorf("content: %+v", content)
	}
}
