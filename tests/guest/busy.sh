#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Three processes that compute side by side.
for p in 1 2 3; do
	(
		i=0
		while [ $i -lt 8000 ]; do i=$((i + 1)); done
	) &
done
wait
