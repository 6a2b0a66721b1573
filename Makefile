.PHONY: run test lint bench doc

run:
	cargo run --release -- localserve

test: lint
	./tests/setup
	cargo test --workspace --locked --quiet

lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked --quiet -- -D warnings

# smtp-sink comes with Postfix: apt-get install postfix
bench:
	cargo bench --locked --bench accept
	cargo bench --locked --bench end_to_end

doc:
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked
