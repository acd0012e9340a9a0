// What the page calls; and the same file as a worker, which makes the refits and tells how far it is.

export { LAWS, fit, headerOf, doubts, lackWords, refits, interval, intervals, optimumIntervals, isoflops, record, readTable, residuals, resampling, cloudMessage, generator };

if (typeof WorkerGlobalScope !== "undefined") {
  onmessage = ({ data: { law, points, delta, n, seed } }) => {
    try {
      const found = fit(law, points, delta);
      postMessage({ cloud: refits(found, n, seed, (done) => postMessage({ done })) });
    } catch (error) {
      postMessage({ refused: error.message });
    }
  };
}
