package sample

import (
	"embed"
	"io/fs"
)

//go:embed configs
var configs embed.FS

// Files returns the sample configuration as the content of a configuration
// directory: assets_demo.json and directives_demo.json.
func Files() fs.FS {
	dir, err := fs.Sub(configs, "configs")
	if err != nil {
		panic(err) // cannot happen: the path is valid
	}
	return dir
}
