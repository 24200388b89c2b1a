
const e={empty:0,inFlight:1,partly:2,stored:3,verified:4,resent:5,failed:6};export{e as t};