package registry

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"testing"

	"github.com/klauspost/compress/zstd"
)

func TestRegistriesTakeZstdOrRefuseIt(t *testing.T) {
	for _, kind := range kinds {
		registry := record(t, handlerOf(t, kind))
		if got, err := registry.client(t).AcceptsZstd(context.Background(), ProbeRef); !got || err != nil {
			t.Errorf("%s: %v, %v", kind, got, err)
		}
		registry.meddle = func(_ int, what string, w http.ResponseWriter, r *http.Request) bool {
			if what != "PUT manifests" {
				return false
			}
			content, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			r.Body = io.NopCloser(bytes.NewReader(content))
			if !bytes.Contains(content, []byte("tar+zstd")) {
				return false
			}
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"errors":[{"code":"MANIFEST_INVALID","message":"unknown media type"}]}`)
			return true
		}
		if got, err := registry.client(t).AcceptsZstd(context.Background(), ProbeRef); got || err != nil {
			t.Errorf("%s refuses: %v, %v", kind, got, err)
		}
	}
}

func TestEmptyZstdIsEmpty(t *testing.T) {
	decoder, err := zstd.NewReader(bytes.NewReader(emptyZstd))
	if err != nil {
		t.Fatal(err)
	}
	defer decoder.Close()
	if content, err := io.ReadAll(decoder); len(content) > 0 || err != nil {
		t.Errorf("%q, %v", content, err)
	}
}
