package nix

import (
	"io/fs"
	"maps"
	"strings"
	"testing"

	nixcode "github.com/libresh/libre/nix"
)

// A lock file as nix writes it. libre is an input with two inputs of its own: one of them
// follows another input.
const lockText = `{
  "nodes": {
    "libre": {
      "inputs": {
        "nixpkgs": [
          "nixpkgs"
        ],
        "utils": "utils_2"
      },
      "locked": {
        "lastModified": 1782116945,
        "narHash": "sha256-hTJPMh9Bwky2TlaWmLrkBHdUBmpxSCPRK+bmnFNpNQE=",
        "path": "/home/ada/<libre>&more",
        "type": "path"
      },
      "original": {
        "owner": "libresh",
        "repo": "libre",
        "type": "github"
      }
    },
    "nixpkgs": {
      "flake": false,
      "locked": {
        "narHash": "sha256-G3tw/IXmaH6IQ2upZvhuN9sG8CkuX+BLuJDpE8hz0Ds=",
        "rev": "34268251cf5547d39063f2c5ea9a196246f7f3a6"
      }
    },
    "root": {
      "inputs": {
        "libre": "libre",
        "nixpkgs": "nixpkgs",
        "nowhere": []
      }
    },
    "utils_2": {
      "locked": {
        "rev": "676eb790898a936e1e5893358ac06400001dc6e8"
      }
    }
  },
  "root": "root",
  "version": 7
}
`

func TestReadLock(t *testing.T) {
	got, err := ReadLock([]byte(lockText))
	want := map[string]string{
		"libre":       "sha256-hTJPMh9Bwky2TlaWmLrkBHdUBmpxSCPRK+bmnFNpNQE=",
		"libre/utils": "676eb790898a936e1e5893358ac06400001dc6e8",
		"nixpkgs":     "34268251cf5547d39063f2c5ea9a196246f7f3a6",
	}
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("%v, %v, expected %v", got, err, want)
	}
	circle := `{"root":"a","nodes":{"a":{"inputs":{"x":"b"}},"b":{"inputs":{"y":"a"},"locked":{"rev":"1"}}}}`
	if got, err := ReadLock([]byte(circle)); err != nil || got["x"] != "1" {
		t.Errorf("a circle: %v, %v", got, err)
	}
	if _, err := ReadLock([]byte("<<<<<<<")); err == nil || !strings.HasPrefix(err.Error(), "reading flake.lock: ") {
		t.Errorf("no lock file: %v", err)
	}
}

// What is not removed stays as nix wrote it, byte for byte.
func TestRemoveInputs(t *testing.T) {
	without := strings.Replace(lockText, `        "libre": "libre",`+"\n", "", 1)
	from, to := strings.Index(without, `    "libre": {`), strings.Index(without, `    "nixpkgs": {`)
	without = without[:from] + without[to:]
	template, err := fs.ReadFile(nixcode.Template(), "flake.lock")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ name, text, want string }{
		{"libre", lockText, without},
		{"other", lockText, lockText},
		{"other", string(template), string(template)},
	} {
		got, err := removeInputs([]byte(test.text), []Override{{Input: test.name}})
		if err != nil || string(got) != test.want {
			t.Errorf("without %s: %v\n%s", test.name, err, got)
		}
	}
}
