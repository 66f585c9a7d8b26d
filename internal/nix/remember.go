package nix

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"path/filepath"

	"github.com/libresh/libre/internal/private"
)

// remember caches a small value of a kind, which depends on a text only. Errors are ignored:
// they only cost time.
func (n *Nix) remember(kind, dependsOn string, value any) {
	if content, err := json.Marshal(value); n.OutcomeDir != "" && err == nil && private.Folder(n.OutcomeDir) == nil {
		_ = private.Replace(n.rememberedFile(kind, dependsOn), content)
	}
}

// recall reads what remember cached.
func (n *Nix) recall(kind, dependsOn string, value any) bool {
	if n.OutcomeDir == "" {
		return false
	}
	content, err := private.ReadCached(n.rememberedFile(kind, dependsOn))
	return err == nil && json.Unmarshal(content, value) == nil
}

func (n *Nix) rememberedFile(kind, dependsOn string) string {
	sum := sha256.Sum256([]byte(dependsOn))
	return filepath.Join(n.OutcomeDir, kind+"-"+hex.EncodeToString(sum[:16])+".json")
}
